"""Fill the broker's window: one receiver at a time in turn, so that one backlog holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import connections, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from events import pauses, transport
from events.clock import LOOK_AFTER, after
from events.crashpoints import crashpoint
from events.message import Message, inline
from events.models import Delivery, EventRecord, State
from events.registry import registry
from events.timing import limits

# Events in a message of a receiver that this process hasn't imported.
_BATCH = 100


Publish = Callable[[Sequence[Message]], None]


def feed(
    using: str, queue: str, room: int, receivers: frozenset[str], publish: Publish = transport.publish
) -> int:
    """Send what waits and is due, at most `room` messages; how many messages.

    Raises what the broker's client raises; what was marked as sent by then is looked for like any other.
    """
    sent = 0
    while sent < room:
        before = sent
        turn = _waiting_receivers(using, queue, receivers)
        for receiver in turn:
            if sent >= room:
                break
            messages = _send_some(using, queue, receiver, room - sent, publish)
            sent += messages
        if sent == before:
            # Nothing is due, or somebody else has locked all that is.
            break
    return sent


def _waiting_receivers(using: str, queue: str, receivers: frozenset[str]) -> list[str]:
    allowed = receivers - pauses.current(using).receivers
    due = _due(using, queue).order_by("receiver").values_list("receiver", flat=True).distinct()
    return [name for name in due if name in allowed]


def _due(using: str, queue: str) -> QuerySet[Delivery]:
    return Delivery.objects.using(using).filter(queue=queue, state=State.WAITING, next_at__lte=Now())


def _send_some(using: str, queue: str, receiver: str, room: int, publish: Publish) -> int:
    """One message of many, or, where its oldest are careful ones, a few messages of one."""
    with transaction.atomic(using=using):
        rows = _taken(using, queue, receiver)
        if not rows:
            return 0
        if rows[0].careful:
            rows = [row for row in rows if row.careful][:room]
            groups = [[row] for row in rows]
        else:
            rows = [row for row in rows if not row.careful]
            groups = [rows]
        _mark_sent(using, rows)
    crashpoint("relay.marked_sent")
    publish([_message(using, queue, receiver, group) for group in groups])
    crashpoint("relay.published")
    return len(groups)


def _taken(using: str, queue: str, receiver: str) -> list[Delivery]:
    batch = registry.get(receiver).batch if receiver in registry else _BATCH
    rows = _due(using, queue).filter(receiver=receiver).order_by("next_at", "event_id").defer("error")
    features = connections[using].features
    if features.has_select_for_update:
        rows = rows.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
    return list(rows[:batch])


def _mark_sent(using: str, rows: Sequence[Delivery]) -> None:
    keys = [row.pk for row in rows]
    Delivery.objects.using(using).filter(pk__in=keys).update(
        state=State.SENT, attempt=F("attempt") + 1, next_at=after(LOOK_AFTER), suspect_at=None
    )


def _message(using: str, queue: str, receiver: str, rows: Sequence[Delivery]) -> Message:
    rows = sorted(rows, key=lambda row: row.event_id)
    envelopes = _envelopes(using, [row.event_id for row in rows])
    return Message(
        receiver=receiver,
        queue=queue,
        using=using,
        ids=tuple(str(row.event_id) for row in rows),
        envelopes=tuple(inline(envelopes.get(row.event_id, "")) for row in rows),
        attempts=tuple(row.attempt + 1 for row in rows),
        careful=rows[0].careful,
        limits=limits(receiver, len(rows)),
    )


def _envelopes(using: str, ids: Sequence[UUID]) -> dict[UUID, str]:
    return dict(EventRecord.objects.using(using).filter(pk__in=ids).values_list("pk", "envelope"))
