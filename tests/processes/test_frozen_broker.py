"""A broker that is frozen while messages are worked off, and thawed: it breaks no connection."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from events.models import Delivery, State
from project.celery import app
from project.dev.broker import Broker
from tests import brokers
from tests.processes.conftest import Start, wait_for
from tests.processes.wire import laid_into
from tests.shop.models import Item
from tests.shop.poisons import wait

pytestmark = pytest.mark.django_db(transaction=True)


def test_broker_that_acknowledged_nothing_for_a_while__has_its_worker_back(
    start_worker: Start, broker: Broker, tmp_path: Path
) -> None:
    if broker.pid is None:
        pytest.skip("REDIS_URL names a server that is not ours to freeze")
    # A message each: both of the worker's places are taken, until the gate opens.
    for _ in range(2):
        with laid_into("default"):
            wait.send(gate=str(tmp_path), kind="wait_outside")
    # Which would wait for the broker first, and then find nothing wrong with it.
    worker = start_worker("--without-heartbeat", "--without-gossip")
    wait_for(lambda: brokers.in_hand(broker) == 2, "both messages in hand", log=worker.log)
    done = Delivery.objects.filter(state=State.DONE)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        (tmp_path / "open").touch()
        wait_for(lambda: done.count() == 2, "both runs", log=worker.log)
        # Whoever asked the broker at the end of either has had no answer in time.
        time.sleep(4 * app.conf.broker_transport_options.get("socket_timeout", 1.0))
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    Item.objects.create(title="afterwards")
    unfinished = Delivery.objects.exclude(state=State.DONE)
    wait_for(lambda: Delivery.objects.count() == 4 and not unfinished.exists(), "all of it", log=worker.log)


def test_broker_that_answers__keeps_its_worker_connected(start_worker: Start) -> None:
    worker = start_worker()
    done = Delivery.objects.filter(state=State.DONE)
    # Longer than any of its timeouts.
    end = time.monotonic() + 8
    while time.monotonic() < end:
        before = done.count()
        Item.objects.create(title="one more")
        wait_for(lambda before=before: done.count() == before + 2, "both deliveries", log=worker.log)
    assert "Connection to broker lost" not in worker.log.read_text()
