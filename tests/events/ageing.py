"""What the tests of retention share: events of an age, in bulk, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from events.ids import uuid7
from events.models import Delivery, EventRecord, State
from events.relay.pruning import Pruned, prune

DAYS = 30
RECEIVERS = {"tests.first": "default", "tests.second": "audit"}
DONE = (State.DONE, State.DONE)


def old(days: float = DAYS + 1) -> datetime:
    return timezone.now() - timedelta(days=days)


def store(
    count: int = 1,
    *,
    states: Iterable[State] = DONE,
    at: datetime | None = None,
    receivers: dict[str, str] = RECEIVERS,
    next_at: datetime | None = None,
) -> list[EventRecord]:
    """Events, with a delivery's record for as many of their receivers as there are states."""
    events = [
        EventRecord(
            id=uuid7(),
            type="tests.happened",
            correlation_id=uuid7(),
            receivers=receivers,
            envelope="{}",
            emitted_at=at or old(),
            next_at=next_at,
        )
        for _ in range(count)
    ]
    EventRecord.objects.bulk_create(events, batch_size=1000)
    rows = [
        Delivery(event=event, receiver=name, queue=queue, state=state)
        for event in events
        for (name, queue), state in zip(receivers.items(), states, strict=False)
    ]
    Delivery.objects.bulk_create(rows, batch_size=1000)
    return events


def store_many(doublings: int) -> int:
    """Old events that have to stay, then old ones that go, then new ones; how many go. Three rows for each."""
    multiply(store(states=(State.DONE, State.DEAD), at=old(DAYS + 2))[0], doublings - 3)
    multiply(store()[0], doublings)
    multiply(store(at=old(1))[0], doublings - 3)
    return 1 << doublings


def multiply(event: EventRecord, doublings: int) -> None:
    """Inside the database: a model at a time, fifty thousand rows take a minute. Names are of our own models."""
    new = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}
    id_ = new.get(connection.vendor, "replace(uuid(), '-', '')")
    columns = ", ".join(f.column for f in EventRecord._meta.concrete_fields if f.column != "id")
    rest = [f.column for f in Delivery._meta.concrete_fields if f.column not in {"id", "event_id"}]
    keys = ", ".join(map(str, event.deliveries.values_list("pk", flat=True)))
    copies = f"SELECT {id_}, {columns} FROM offload_event WHERE type = 'tests.multiplied'"  # noqa: S608
    theirs = (
        f"SELECT e.id, {', '.join(f'd.{column}' for column in rest)} FROM offload_event e, offload_delivery d "  # noqa: S608
        f"WHERE e.type = 'tests.multiplied' AND e.id <> d.event_id AND d.id IN ({keys})"
    )
    EventRecord.objects.filter(pk=event.pk).update(type="tests.multiplied")
    with transaction.atomic(), connection.cursor() as cursor:
        for _ in range(doublings):
            cursor.execute(f"INSERT INTO offload_event (id, {columns}) {copies}")
        cursor.execute(f"INSERT INTO offload_delivery (event_id, {', '.join(rest)}) {theirs}")
    EventRecord.objects.filter(type="tests.multiplied").update(type="tests.happened")


def pruned(days: float = DAYS, *, dry_run: bool = False, using: str = "default") -> Pruned:
    return sum(prune(using, days, dry_run=dry_run), Pruned())


def left() -> tuple[int, int]:
    return EventRecord.objects.count(), Delivery.objects.count()
