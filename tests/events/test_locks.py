"""A row that a running receiver has locked holds up nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from events.clock import after
from events.delivery.failing import recover
from events.fast_path import fast_path
from events.models import Delivery, EventRecord, State, Worker
from events.registry import registry
from events.relay.feeding import feed
from events.relay.looking import examine
from events.relay.materialising import materialise
from events.relay.workers import bury_the_dead
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

RECEIVER = "tests.shop.receivers.record_save"


@pytest.fixture
def row_locks() -> None:
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("this database locks no single rows")


@pytest.fixture
def event(row_locks: None) -> EventRecord:
    with fast_path.suspended():
        Item.objects.create(title="one")
    EventRecord.objects.update(next_at=None)
    return EventRecord.objects.get()


@contextmanager
def elsewhere(work: Callable[[], object]) -> Iterator[None]:
    """Within it another connection has done `work` in a transaction that is still open."""
    begun, end = threading.Event(), threading.Event()

    def run() -> None:
        try:
            with transaction.atomic():
                work()
                begun.set()
                end.wait(20)
        finally:
            begun.set()
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(10)
    try:
        yield
    finally:
        end.set()
        thread.join()


def delivery(event: EventRecord, **values: object) -> Delivery:
    defaults = {
        "event": event,
        "receiver": RECEIVER,
        "queue": "default",
        "state": State.SENT,
        "next_at": Now(),
    }
    return Delivery.objects.create(**(defaults | values))


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    # Milliseconds; MariaDB counts in seconds.
    names = {"postgresql": ("statement_timeout", 1000), "mysql": ("max_statement_time", 1)}
    name, factor = names[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = {int(seconds * factor)}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"SET {name} = 0")


def lock(row: Delivery) -> Callable[[], object]:
    return lambda: Delivery.objects.filter(pk=row.pk).update(worker="a slow receiver's")


@pytest.mark.parametrize("held", [True, False])
def test_examine__leaves_a_delivery_that_is_being_run(event: EventRecord, held: bool) -> None:
    row = delivery(event)
    pairs = frozenset({(RECEIVER, str(event.pk))}) if held else frozenset()
    with elsewhere(lock(row)), at_most(3):
        assert examine("default", "default", frozenset(), pairs) == 0
    row.refresh_from_db()
    assert row.suspect_at is None


def test_feed__ends_where_what_is_due_is_locked(event: EventRecord) -> None:
    row = delivery(event, state=State.WAITING)
    queries = 0

    def count(execute, *args):  # type: ignore[no-untyped-def]
        nonlocal queries
        queries += 1
        if queries > 50:
            raise AssertionError("it goes round and round")
        return execute(*args)

    with elsewhere(lock(row)), connection.execute_wrapper(count):
        assert feed("default", "default", 8, frozenset(registry.names()), publish=len) == 0


def test_recover__does_not_wait_for_a_claim_that_lingers(event: EventRecord) -> None:
    claim = lambda: delivery(event, state=State.DONE)  # noqa: E731
    with elsewhere(claim), at_most(5), pytest.raises(OperationalError, match=r"(?i)lock (wait )?timeout"):
        recover("default", [(RECEIVER, event.pk)], "died")


def test_bury_the_dead__goes_on_past_a_claim_that_lingers(event: EventRecord) -> None:
    Worker.objects.create(id="dead", beat_at=after(-100), held=[[RECEIVER, str(event.pk)]])
    with elsewhere(lambda: delivery(event, state=State.DONE)), at_most(5):
        assert bury_the_dead("default") == 0
    # Asked for again, and not forgotten.
    assert Worker.objects.exists()
    Delivery.objects.all().delete()
    assert bury_the_dead("default") == 1


def test_bury_the_dead__whatever_its_last_word_was() -> None:
    Worker.objects.create(id="dead", beat_at=after(-100), held=[[RECEIVER, "no uuid"]])
    bury_the_dead("default")
    assert not Worker.objects.exists()


def test_materialise__goes_on_past_a_claim_that_lingers(row_locks: None) -> None:
    with fast_path.suspended():
        for title in ("one", "two", "three"):
            Item.objects.create(title=title)
    first = EventRecord.objects.order_by("next_at").first()
    assert first is not None
    with elsewhere(lambda: delivery(first, state=State.DONE)), at_most(5):
        assert materialise("default", frozenset()) == 3
        assert not Delivery.objects.filter(event=first, receiver=RECEIVER).exists()
        # Its other receivers' too.
        assert Delivery.objects.count() == 3 * len(first.receivers) - 1
    first.refresh_from_db()
    assert first.next_at is not None
