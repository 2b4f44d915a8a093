"""Behind stopped workers a backlog waits in the database; the broker holds a window of it."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
from django.db import transaction
from pytest_django import Settings

from events import transport
from events.conf import settings as events_settings
from events.fast_path import fast_path
from events.models import Delivery, EventRecord, State
from project.dev.broker import Broker
from tests import brokers
from tests.events.operating import run
from tests.processes.conftest import PATIENCE, Start, WorkerProcess, wait_for
from tests.shop.models import Effect, Item
from tests.shop.receivers import misbehave, slower

pytestmark = pytest.mark.django_db(transaction=True)

SAVES = 400
# Of events that take longer to work off than to emit.
ROUNDS, SLOW = 6, 500
# Messages that a relay has in the broker for a worker of two processes.
WINDOW, PROCESSES = 8, 2


def test_backlog__stays_out_of_the_broker_and_drains_once_each(
    broker: Broker, start_worker: Start, settings: Settings
) -> None:
    # However slow this machine: only a long queue is left to the relay here, never a late publish.
    settings.EVENTS = settings.EVENTS | {"PUBLISH_TIMEOUT": 3600.0}
    brokers.empty(broker)
    for number in range(SAVES):
        with transaction.atomic():
            Item.objects.create(title=f"{number}")
        # One by one: commits that meet share a message.
        assert fast_path.finish(60)
    waiting = transport.look("default").depth
    # The depth is read after a commit and believed for a tenth of a second: a few messages more may slip in.
    assert 0 < waiting < SAVES, "the emitter left nothing to the relay"
    assert waiting >= events_settings.WINDOW
    start_worker()
    wait_for(lambda: Delivery.objects.filter(state=State.DONE).count() == 2 * SAVES, "every delivery")
    keys = list(Effect.objects.values_list("receiver", "key"))
    assert len(keys) == len(set(keys)) == 2 * SAVES
    messages = Delivery.objects.values("receiver", "message_id").distinct().count()
    # The relay packed what waited: far fewer messages than deliveries.
    assert messages < 2 * (waiting + (SAVES - waiting) / 20)
    wait_for(lambda: not EventRecord.objects.filter(next_at__isnull=False).exists(), "each event examined")


def resident(worker: WorkerProcess) -> float:
    """MiB of the worker and its pool."""
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in (worker.pid, *children)]
    return sum(pages) * resource.getpagesize() / (1 << 20)


def test_receiver_slower_than_what_arrives__takes_no_more_memory_and_a_person_is_told(
    broker: Broker, start_worker: Start, settings: Settings
) -> None:
    settings.EVENTS = settings.EVENTS | {"MAX_WAIT": 1.0}
    worker = start_worker()
    for _ in range(ROUNDS):
        # What the emitter publishes itself may be sixty messages, four times as much as all of this.
        with fast_path.suspended(), transaction.atomic():
            for _ in range(SLOW):
                # Outside transactions: in one it would keep SQLite's other writers waiting, and nothing would pile up.
                slower.send(None, seconds=0.005)
    begun = most = resident(worker)
    longest, told = 0, False
    done = Delivery.objects.filter(state=State.DONE)
    end = time.monotonic() + 2 * PATIENCE
    while done.count() < ROUNDS * SLOW:
        assert time.monotonic() < end, worker.log.read_text()[-5000:]
        # Never by `transport.look`: RabbitMQ's messages are out of the queue while looked at, and the relay would
        # find room for others.
        longest = max(longest, brokers.waiting(broker, "audit"))
        most = max(most, resident(worker))
        told = told or "audit falls behind" in run("status")
        time.sleep(0.1)
    assert told
    # And what it took ahead and gave back, a message for each process: see decision 0017.
    assert 0 < longest <= WINDOW + PROCESSES
    # All of them, held, would be twice that.
    assert most - begun < 30
    keys = list(Effect.objects.values_list("receiver", "key"))
    assert len(keys) == len(set(keys)) == ROUNDS * SLOW


def test_retry__waits_in_the_database_and_not_in_the_broker(broker: Broker, start_worker: Start) -> None:
    start_worker()
    misbehave.send(how="raise", tag="x")
    failing = Delivery.objects.filter(receiver="tests.shop.receivers.misbehave_in_transaction")
    wait_for(failing.filter(state=State.DEAD, tries=3).exists, "a dead letter")
    # Each try came in a message of its own, sent when it was due: none lay in the broker with a countdown.
    # (The first is the emitter's, numbered 0, unless it left it to the relay.)
    first = 0 if EventRecord.objects.get().published else 1
    assert failing.get().attempt == first + 2
    wait_for(lambda: not brokers.in_hand(broker) and not transport.look("default").depth, "an empty broker")
