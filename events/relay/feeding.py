"""Fill the broker's window: one receiver at a time in turn, so that one backlog holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connections, transaction
from django.db.models import Case, F, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Now
from django.db.models.lookups import GreaterThan

from events import pauses, transport
from events.clock import LOOK_AFTER, after
from events.conf import settings
from events.crashpoints import crashpoint
from events.delivery.by_index import TURN, by_index
from events.message import Message, inlined, room_inline
from events.models import IS_WAITING, Delivery, EventRecord, Size, State
from events.registry import registry
from events.relay import probing
from events.timing import limits

# Events in a message of a receiver that this process hasn't imported.
_BATCH = 100
# Messages marked as sent in one transaction; and deliveries after which no other receiver's are added.
_TOGETHER = 4
_MANY = 1_000
# Envelopes read in one statement, none of them larger than what a message carries.
_AT_ONCE = 100


Publish = Callable[[Sequence[Message]], None]


def feed(
    using: str,
    queue: str,
    room: int,
    receivers: frozenset[str],
    publish: Publish = transport.publish,
    is_ours: Callable[[], bool] = lambda: True,
) -> int:
    """Send what waits and is due, at most `room` messages; how many messages.

    `is_ours`: whether the queue still is; from the moment it isn't, another relay fills the room.
    Raises what the broker's client raises; what was marked as sent by then is looked for like any other.
    """
    sent = _probe(using, queue, receivers, publish) if room > 0 else 0
    # Asked for once: what becomes due meanwhile is the next round's.
    turn = _waiting_receivers(using, queue, receivers) if room > 0 else []
    while turn and sent < room and is_ours():
        sent += _send_some(using, queue, turn, room - sent, publish)
    return sent


def _probe(using: str, queue: str, receivers: frozenset[str], publish: Publish) -> int:
    """One delivery each of the parked receivers whose time has come; how many messages."""
    sent = 0
    for receiver in probing.due(using, receivers):
        with transaction.atomic(using=using):
            rows = _taken(using, queue, receiver)[:1]
            if not rows or not probing.is_ours(using, receiver, rows[0].event_id):
                # Nothing of it is due in this queue, or another relay was faster.
                continue
            _mark_sent(using, rows)
        publish([_message(using, queue, receiver, rows)])
        sent += 1
    return sent


def _waiting_receivers(using: str, queue: str, receivers: frozenset[str]) -> list[str]:
    allowed = receivers - pauses.current(using).receivers
    return [name for name in _due_receivers(using, queue) if name in allowed]


def _due_receivers(using: str, queue: str) -> Iterator[str]:
    """From one to the next through the index: DISTINCT would read all that waits, for each round of the relay."""
    rows = _waiting(using, queue).annotate(due=Q(next_at__lte=Now())).order_by("receiver", "next_at")
    name = ""
    # The oldest of each comes first, and says whether anything of it is due.
    while found := rows.filter(receiver__gt=name).values_list("receiver", "due").first():
        name, due = found
        if due:
            yield name


def _waiting(using: str, queue: str) -> QuerySet[Delivery]:
    return Delivery.objects.using(using).filter(IS_WAITING, queue=queue)


def _send_some(using: str, queue: str, turn: list[str], room: int, publish: Publish) -> int:
    """A message of each of the next few receivers, or, where its oldest are careful ones, a few of one event each.

    One transaction: each is a wait for whoever writes on SQLite. Whoever has nothing due any more, or nothing that
    somebody else has not locked, leaves `turn`; how many messages.
    """
    messages: list[tuple[str, list[_Taken]]] = []
    with transaction.atomic(using=using):
        for receiver in turn[:_TOGETHER]:
            if len(messages) >= room or sum(len(group) for _, group in messages) >= _MANY:
                break
            turn.remove(receiver)
            if rows := _taken(using, queue, receiver):
                messages += [(receiver, group) for group in _groups(rows, room - len(messages))]
                turn.append(receiver)
        _mark_sent(using, [row for _, group in messages for row in group])
    if not messages:
        return 0
    crashpoint("relay.marked_sent")
    publish([_message(using, queue, receiver, group) for receiver, group in messages])
    crashpoint("relay.published")
    return len(messages)


class _Taken(NamedTuple):
    pk: int
    event_id: UUID
    attempt: int
    careful: bool


def _groups(rows: list[_Taken], room: int) -> list[list[_Taken]]:
    if rows[0].careful:
        return [[row] for row in rows if row.careful][:room]
    return [[row for row in rows if not row.careful]]


def _taken(using: str, queue: str, receiver: str) -> list[_Taken]:
    batch = registry.get(receiver).batch if receiver in registry else _BATCH
    # In an order that the index has: sorted by anything else, MySQL would lock all that is due, not a batch.
    due = _waiting(using, queue).filter(receiver=receiver, next_at__lte=Now())
    rows = due.order_by("next_at", "pk").values_list(*_Taken._fields)
    features = connections[using].features
    if features.has_select_for_update:
        rows = rows.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
    with by_index(using, TURN):
        return [_Taken._make(row) for row in rows[:batch]]


def _mark_sent(using: str, rows: Sequence[_Taken]) -> None:
    keys = [row.pk for row in rows]
    Delivery.objects.using(using).filter(pk__in=keys).update(
        state=State.SENT, attempt=F("attempt") + 1, next_at=after(LOOK_AFTER), suspect_at=None, sent_at=Now()
    )


def _message(using: str, queue: str, receiver: str, rows: Sequence[_Taken]) -> Message:
    rows = sorted(rows, key=lambda row: row.event_id)
    return Message(
        receiver=receiver,
        queue=queue,
        using=using,
        ids=tuple(str(row.event_id) for row in rows),
        envelopes=_envelopes(using, [row.event_id for row in rows]),
        attempts=tuple(row.attempt + 1 for row in rows),
        careful=rows[0].careful,
        limits=limits(receiver, len(rows)),
    )


def _envelopes(using: str, ids: Sequence[UUID]) -> tuple[str, ...]:
    """Only what the message will carry is read: a thousand large ones are more than a process holds."""
    is_large = GreaterThan(Size("envelope"), settings.MAX_INLINE_BYTES)
    small = Case(When(is_large, then=Value("")), default="envelope", output_field=TextField())
    found: dict[UUID, str] = {}
    room = room_inline()
    for start in range(0, len(ids), _AT_ONCE):
        if room > 0:
            rows = EventRecord.objects.using(using).filter(pk__in=ids[start : start + _AT_ONCE])
            some = dict(rows.values_list("pk", small))
            room -= sum(map(len, some.values()))
            found |= some
    return inlined(found.get(id, "") for id in ids)
