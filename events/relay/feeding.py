"""Fill the broker's window: one receiver at a time in turn, so that one backlog holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connections, transaction
from django.db.models import Case, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Now
from django.db.models.lookups import GreaterThan

from events import pauses, transport
from events.clock import LOOK_AFTER, after_sql
from events.conf import settings
from events.crashpoints import crashpoint
from events.delivery.by_index import TURN, by_index
from events.delivery.statements import as_uuid, for_update, update_records
from events.delivery.waiting import writing
from events.drivers import lean_cursor
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


Publish = Callable[[Sequence[Message]], object]


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
        publish(_messages(using, queue, [(receiver, rows)]))
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
    with writing(using):
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
    publish(_messages(using, queue, messages))
    crashpoint("relay.published")
    return len(messages)


class _Taken(NamedTuple):
    id: int
    event_id: UUID
    attempt: int
    careful: bool


def _groups(rows: list[_Taken], room: int) -> list[list[_Taken]]:
    if rows[0].careful:
        return [[row] for row in rows if row.careful][:room]
    return [[row for row in rows if not row.careful]]


def _taken(using: str, queue: str, receiver: str) -> list[_Taken]:
    connection = connections[using]
    quote = connection.ops.quote_name
    batch = registry.get(receiver).batch if receiver in registry else _BATCH
    now, some = after_sql(using, 0)
    # The state as a literal: so the partial index fits. In an order that the index has: sorted by anything else, MySQL
    # would lock all that is due, not a batch.
    statement = (
        f"SELECT {', '.join(map(quote, _Taken._fields))} FROM {quote(Delivery._meta.db_table)} "  # noqa: S608
        f"WHERE {quote('state')} = '{State.WAITING}' AND {quote('queue')} = %s AND {quote('receiver')} = %s "
        f"AND {quote('next_at')} <= {now} ORDER BY {quote('next_at')}, {quote('id')} LIMIT {batch}"
        f"{for_update(connection, skip_locked=True)}"
    )
    with by_index(using, TURN), lean_cursor(connection) as cursor:
        cursor.execute(statement, [queue, receiver, *some])
        return [
            _Taken(pk, as_uuid(event_id), attempt, bool(careful))
            for pk, event_id, attempt, careful in cursor.fetchall()
        ]


def _mark_sent(using: str, rows: Sequence[_Taken]) -> None:
    if rows:
        update_records(
            using,
            [row.id for row in rows],
            {"state": State.SENT, "suspect_at": None},
            {"next_at": LOOK_AFTER, "sent_at": 0},
            {"attempt": f"{connections[using].ops.quote_name('attempt')} + 1"},
        )


def _messages(using: str, queue: str, groups: Sequence[tuple[str, list[_Taken]]]) -> list[Message]:
    # Receivers of the same events carry the same envelopes: read once.
    read: dict[UUID, str] = {}
    return [_message(using, queue, receiver, group, read) for receiver, group in groups]


def _message(using: str, queue: str, receiver: str, rows: Sequence[_Taken], read: dict[UUID, str]) -> Message:
    rows = sorted(rows, key=lambda row: row.event_id)
    return Message(
        receiver=receiver,
        queue=queue,
        using=using,
        ids=tuple(str(row.event_id) for row in rows),
        envelopes=_envelopes(using, [row.event_id for row in rows], read),
        attempts=tuple(row.attempt + 1 for row in rows),
        careful=rows[0].careful,
        limits=limits(receiver, len(rows)),
    )


def _envelopes(using: str, ids: Sequence[UUID], read: dict[UUID, str]) -> tuple[str, ...]:
    """Only what the message will carry is read: a thousand large ones are more than a process holds."""
    room = room_inline()
    for start in range(0, len(ids), _AT_ONCE):
        if room > 0:
            some = ids[start : start + _AT_ONCE]
            if absent := [id for id in some if id not in read]:
                read |= _small(using, absent)
            room -= sum(len(read.get(id, "")) for id in some)
    return inlined(read.get(id, "") for id in ids)


def _small(using: str, ids: Sequence[UUID]) -> dict[UUID, str]:
    is_large = GreaterThan(Size("envelope"), settings.MAX_INLINE_BYTES)
    small = Case(When(is_large, then=Value("")), default="envelope", output_field=TextField())
    return dict(EventRecord.objects.using(using).filter(pk__in=ids).values_list("pk", small))
