"""Celery's commands to a running worker that count messages where we count deliveries."""

from __future__ import annotations

from pathlib import Path

import pytest

from events.models import Delivery, State
from project.celery import app
from project.dev.broker import Broker
from tests.processes.conftest import Start, wait_for
from tests.processes.wire import laid_into, put, take
from tests.shop.models import Effect
from tests.shop.poisons import wait

pytestmark = pytest.mark.django_db(transaction=True)


def test_revoke__of_what_runs_and_of_what_waits_is_refused(
    start_worker: Start, broker: Broker, tmp_path: Path
) -> None:
    for _ in range(2):
        with laid_into("default"):
            wait.send(gate=str(tmp_path), kind="wait_outside")
    first, second = take(broker, 2)
    put(broker, first)
    # Without a relay: it would miss the second one, and send it again.
    worker = start_worker("-c", "1", EVENTS_RELAY="off")
    wait_for((tmp_path / "begun").exists, "a run", log=worker.log)
    ids = [message.headers["id"] for message in (first, second)]
    # Over a connection of its own: the pool's may be one to a broker that a test before this one has restarted.
    with app.connection_for_write() as connection:
        assert app.control.revoke(ids, terminate=True, reply=True, timeout=60, limit=1, connection=connection)
    put(broker, second)
    (tmp_path / "open").touch()

    done = Delivery.objects.filter(state=State.DONE)
    wait_for(lambda: done.count() == 2, "two deliveries", log=worker.log)
    # At its first try, by the message that was revoked: no other was sent.
    assert set(done.values_list("tries", "attempt")) == {(0, 1)}
    assert Effect.objects.count() == 2
    log = worker.log.read_text()
    for command, id in zip(("terminate", "revoke"), ids, strict=True):
        assert (
            f"events.refused command={command} receiver=tests.shop.poisons.wait_outside message={id}" in log
        )
