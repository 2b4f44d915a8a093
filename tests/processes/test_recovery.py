"""What was emitted and committed arrives, whoever dies in between."""

from __future__ import annotations

import signal
import subprocess
import sys
from uuid import UUID

import pytest
from django.db import connection

from events import transport
from events.models import Delivery, EventRecord, State
from project.dev.broker import Broker
from tests import brokers
from tests.processes.conftest import ROOT, Start, freeze, wait_for
from tests.shop.models import Effect, Item

pytestmark = pytest.mark.django_db(transaction=True)

SAVES = 5
WITH_COMMIT = connection.vendor == "postgresql"


def emit(
    env: dict[str, str], crashpoint: str = "", count: int = SAVES, *how: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.processes.emitter", str(count), *how],
        env=env | {"EVENTS_CRASHPOINT": crashpoint},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def finished(deliveries: int) -> bool:
    return Delivery.objects.filter(state=State.DONE).count() == deliveries


@pytest.mark.parametrize("crashpoint", ["emit.appended", "journal.before_flush", "journal.after_flush"])
def test_emitter_dies_before_its_commit__neither_row_nor_event(
    process_env: dict[str, str], crashpoint: str
) -> None:
    # So many that they are written before the commit, and not with it.
    assert emit(process_env, crashpoint, 30, "at-once").returncode == -signal.SIGKILL
    assert not Item.objects.exists()
    assert not EventRecord.objects.exists()


@pytest.mark.parametrize(
    "crashpoint",
    # On PostgreSQL a single event is written with its commit.
    ["journal.after_flush"] * WITH_COMMIT + ["journal.after_commit", "publish.before", "publish.after"],
)
def test_emitter_dies_after_its_commit__the_event_arrives_once(
    process_env: dict[str, str], start_worker: Start, crashpoint: str
) -> None:
    # One: the thread that publishes dies while the next would be saved.
    assert emit(process_env, crashpoint, count=1).returncode == -signal.SIGKILL
    assert Item.objects.count() == 1
    start_worker()
    wait_for(lambda: finished(2), "both deliveries of the one save")
    assert Effect.objects.count() == 2


def test_broker_emptied__what_was_in_it_is_sent_again(
    process_env: dict[str, str], broker: Broker, start_worker: Start
) -> None:
    assert emit(process_env).returncode == 0
    # All of them, unless this machine was so slow that the emitter left some to the relay.
    assert transport.look("default").depth > 0
    brokers.empty(broker)
    start_worker()
    wait_for(lambda: finished(2 * SAVES), "every delivery")
    assert Effect.objects.count() == 2 * SAVES


def test_worker_killed_with_messages_in_hand__another_takes_them(
    process_env: dict[str, str], start_worker: Start
) -> None:
    first = start_worker()
    # Frozen with its pool: it takes messages from the broker no more, or has them and never runs them.
    freeze(first)
    assert emit(process_env).returncode == 0
    first.kill()
    start_worker()
    wait_for(lambda: finished(2 * SAVES), "every delivery")
    exact = list(Effect.objects.filter(receiver="record_save").values_list("key", flat=True))
    assert len(exact) == len(set(exact)) == SAVES


def test_look__names_what_waits_in_the_broker(process_env: dict[str, str], broker: Broker) -> None:
    brokers.empty(broker)
    assert emit(process_env, count=1).returncode == 0
    event = EventRecord.objects.get()
    look = transport.look("default")
    assert look.ids is not None
    assert {UUID(pk) for _, pk in look.ids} == {event.pk}
