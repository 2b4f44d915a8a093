"""Fill the broker's window: one receiver at a time in turn, so that one backlog holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from django.db import connections, transaction

from events import pauses, transport
from events.clock import LOOK_AFTER
from events.crashpoints import crashpoint
from events.delivery.statements import as_uuid, spelled, update_records
from events.delivery.waiting import writing
from events.message import Message
from events.models import State
from events.registry import registry
from events.relay import probing
from events.relay.contents import Envelopes
from events.relay.rotation import in_turn
from events.relay.turns import Taken, due_receivers, taken
from events.timing import limits

# Events in a message of a receiver that this process hasn't imported.
_BATCH = 100
# Messages marked as sent in one transaction; and deliveries after which no other receiver's are added.
_TOGETHER = 4
_MANY = 1_000

# (alias, queue) → the receiver that had the last message: the next round goes on behind it. A round may have room for
# one message alone, and what begins with an A would get it each time.
_last: dict[tuple[str, str], str] = {}

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
            rows = taken(using, queue, receiver, 1)
            if not rows or not probing.is_ours(using, receiver, as_uuid(rows[0].event_id)):
                # Nothing of it is due in this queue, or another relay was faster.
                continue
            _mark_sent(using, rows)
        publish(_messages(using, queue, [(receiver, rows)]))
        sent += 1
    return sent


def _waiting_receivers(using: str, queue: str, receivers: frozenset[str]) -> list[str]:
    allowed = receivers - pauses.current(using).receivers
    names = [name for name in due_receivers(using, queue) if name in allowed]
    return in_turn(names, after=_last.get((using, queue), ""))


def _batch(receiver: str) -> int:
    return registry.get(receiver).batch if receiver in registry else _BATCH


def _send_some(using: str, queue: str, turn: list[str], room: int, publish: Publish) -> int:
    """A message of each of the next few receivers, or, where its oldest are careful ones, a few of one event each.

    One transaction: each is a wait for whoever writes on SQLite. Whoever has nothing due any more, or nothing that
    somebody else has not locked, leaves `turn`; how many messages.
    """
    messages: list[tuple[str, list[Taken]]] = []
    with writing(using):
        for receiver in turn[:_TOGETHER]:
            if len(messages) >= room or sum(len(group) for _, group in messages) >= _MANY:
                break
            turn.remove(receiver)
            if rows := taken(using, queue, receiver, _batch(receiver)):
                messages += [(receiver, group) for group in _groups(rows, room - len(messages))]
                turn.append(receiver)
        _mark_sent(using, [row for _, group in messages for row in group])
    if not messages:
        return 0
    _last[using, queue] = messages[-1][0]
    crashpoint("relay.marked_sent")
    publish(_messages(using, queue, messages))
    crashpoint("relay.published")
    return len(messages)


def _groups(rows: list[Taken], room: int) -> list[list[Taken]]:
    if rows[0].careful:
        return [[row] for row in rows if row.careful][:room]
    return [[row for row in rows if not row.careful]]


def _mark_sent(using: str, rows: Sequence[Taken]) -> None:
    if rows:
        update_records(
            using,
            [row.id for row in rows],
            {"state": State.SENT, "suspect_at": None},
            {"next_at": LOOK_AFTER, "sent_at": 0},
            {"attempt": f"{connections[using].ops.quote_name('attempt')} + 1"},
        )


def _messages(using: str, queue: str, groups: Sequence[tuple[str, list[Taken]]]) -> list[Message]:
    envelopes = Envelopes(using)
    return [_message(using, queue, receiver, group, envelopes) for receiver, group in groups]


def _message(using: str, queue: str, receiver: str, rows: list[Taken], envelopes: Envelopes) -> Message:
    rows = sorted(rows, key=attrgetter("event_id"))
    return Message(
        receiver=receiver,
        queue=queue,
        using=using,
        ids=tuple(spelled(row.event_id) for row in rows),
        envelopes=envelopes.of([row.event_id for row in rows]),
        attempts=tuple(row.attempt + 1 for row in rows),
        careful=bool(rows[0].careful),
        limits=limits(receiver, len(rows)),
    )
