"""What has to hold on every database, and where they differ most: docs/decisions/0008-engines.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.db.models.signals import post_save

from events import outbox
from events.delivery.claim import Claimer
from events.delivery.consuming import consume
from events.delivery.decoding import Item as Claimed
from events.delivery.tally import Tally
from events.delivery.trouble import is_passing
from events.delivery.waiting import PATIENCE, limited_waiting
from events.fast_path import fast_path
from events.ids import uuid7
from events.models import Delivery, EventRecord, State
from events.registry import registry
from events.relay.turns import taken
from events.testing import Drained, _due_messages, drain
from tests.events.conftest import Offloaded
from tests.events.test_locks import RECEIVER, at_most, elsewhere, row_locks
from tests.shop.models import Effect, Item, Tag

__all__ = ["row_locks"]

pytestmark = pytest.mark.django_db(transaction=True)

on_mysql = pytest.mark.skipif(connection.vendor != "mysql", reason="about MySQL and MariaDB")


def note(sender: Any, instance: Tag, **kwargs: Any) -> None:
    Effect.objects.create(receiver="note", key="")


def Note(sender: Any, instance: Tag, **kwargs: Any) -> None:  # noqa: N802 - that it differs in this is the point
    Effect.objects.create(receiver="Note", key="")


def note_and_create_a_table(sender: Any, instance: Tag, **kwargs: Any) -> None:
    note(sender, instance)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS shop_made_by_a_receiver (id INT)")


def test_receivers__whose_names_differ_in_case_only__both_run(offloaded: Offloaded) -> None:
    offloaded(note, post_save, sender=Tag)
    offloaded(Note, post_save, sender=Tag)
    Tag.objects.create(name="one")
    assert drain() == Drained(done=2)
    assert sorted(Effect.objects.values_list("receiver", flat=True)) == ["Note", "note"]


@pytest.mark.parametrize("name", ['the "first"', "größe", "7", "a\\b", "50 %"])
def test_receiver__of_any_name__runs_by_the_emitters_message(offloaded: Offloaded, name: str) -> None:
    offloaded(note, post_save, sender=Tag, name=name)
    with fast_path.suspended():
        Tag.objects.create(name="one")
    (message,) = _due_messages("default")
    Delivery.objects.all().delete()
    assert consume(replace(message, attempts=(0,))) == Tally(done=1)


def test_outbox__takes_large_envelopes_together() -> None:
    # Together they are more than MariaDB takes in one statement.
    emissions = [
        outbox.Emission.written(outbox.Content(uuid7(), "t", "", uuid7(), None, '"' * 900_000), {})
        for _ in range(12)
    ]
    with transaction.atomic():
        outbox.insert(connection, emissions)
    assert EventRecord.objects.count() == 12


def store_events(count: int) -> list[EventRecord]:
    events = [
        EventRecord(
            id=uuid7(), type="t", correlation_id=uuid7(), receivers={RECEIVER: "default"}, envelope="{}"
        )
        for _ in range(count)
    ]
    return EventRecord.objects.bulk_create(events)


def store(count: int, **values: object) -> list[EventRecord]:
    events = store_events(count)
    defaults = {"receiver": RECEIVER, "queue": "default", "state": State.SENT, "attempt": 1, "next_at": Now()}
    Delivery.objects.bulk_create([Delivery(event_id=event.pk, **(defaults | values)) for event in events])
    return events


def claimer() -> Claimer:
    return Claimer(receiver=RECEIVER, queue="default", using="default", message_id=uuid4(), state=State.DONE)


def sent(event: EventRecord) -> Claimed:
    return Claimed(event_id=event.pk, attempt=1, envelope="{}", recorded=True)


def fresh(event: EventRecord) -> Claimed:
    return Claimed(event_id=event.pk, attempt=0, envelope="{}", recorded=False)


def run_some(others: list[EventRecord]) -> int:
    ours = claimer().anew()
    ours.lock([sent(event) for event in others])
    return ours.kept()


def come_to_the_first_only(others: list[EventRecord]) -> int:
    items = [fresh(event) for event in store_events(len(others))]
    ours = claimer().anew()
    with transaction.atomic():
        ours.insert(items)
        ours.release(items[1:])
        return ours.kept()


@pytest.mark.parametrize("work", [run_some, come_to_the_first_only])
@pytest.mark.parametrize("count", [3, 10, 50])
def test_claim__waits_for_no_other_delivery(
    row_locks: None, count: int, work: Callable[[list[EventRecord]], int]
) -> None:
    # The message names most of what is in the table: then a scan of all of it looks cheaper than the key.
    first, *others = store(count)
    with elsewhere(lambda: claimer().lock([sent(first)])), at_most(5), transaction.atomic():
        assert work(others) in {1, len(others)}


def test_feed__two_side_by_side_take_different_deliveries(row_locks: None) -> None:
    batch = registry.get(RECEIVER).batch
    store(batch + 20, state=State.WAITING)
    with (
        elsewhere(lambda: taken("default", "default", RECEIVER, batch)),
        at_most(5),
        transaction.atomic(),
    ):
        assert len(taken("default", "default", RECEIVER, batch)) == 20


@on_mysql
def test_receiver__that_commits_by_ddl__has_failed(offloaded: Offloaded) -> None:
    offloaded(note_and_create_a_table, post_save, sender=Tag)
    try:
        Tag.objects.create(name="one")
        assert drain() == Drained(retrying=1)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS shop_made_by_a_receiver")
    row = Delivery.objects.get()
    assert row.state == State.WAITING
    assert "committed the transaction it runs in" in row.error


@on_mysql
@pytest.mark.parametrize("patience", [PATIENCE, 1])
def test_limited_waiting__leaves_the_session_as_it_was(patience: int) -> None:
    before = patience_of_session()
    with transaction.atomic(), limited_waiting("default", patience):
        assert patience_of_session() <= 1
        # As after a lock timeout: Django's cursors refuse every statement from here on.
        transaction.set_rollback(True)
    assert patience_of_session() == before > 1


def patience_of_session() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@SESSION.innodb_lock_wait_timeout")
        return int(cursor.fetchone()[0])


@on_mysql
def test_connection__that_the_server_ended__says_nothing_about_the_receiver() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        [(number,)] = cursor.fetchall()
    with elsewhere(lambda: connection.cursor().execute("KILL %s", [number])):
        with pytest.raises(OperationalError) as ended:
            Item.objects.count()
        assert is_passing(ended.value, connection)
    connection.close()


@on_mysql
def test_relay__finds_what_is_unfinished_by_its_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW INDEX FROM offload_delivery")
        rows = [dict(zip([c[0] for c in cursor.description], row, strict=True)) for row in cursor.fetchall()]
    due = [row["Column_name"] for row in rows if row["Key_name"] == "offload_delivery_due"]
    assert due == ["state", "queue", "next_at"]
    with fast_path.suspended():
        # Of two hundred, to read all of the index is as cheap.
        store(1_000, state=State.DONE)
        store(3, state=State.WAITING)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE offload_delivery")
        cursor.fetchall()
    plan = _waiting_rows().explain()
    assert "offload_delivery_due" in plan or "offload_delivery_turn" in plan, plan
    # Not the whole of it: as much as is unfinished.
    assert " range " in plan, plan


def _waiting_rows() -> Any:
    from events.models import IS_UNFINISHED

    return Delivery.objects.filter(IS_UNFINISHED).order_by().values("queue").distinct()
