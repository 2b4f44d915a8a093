"""Each event is examined once: a delivery's record for every receiver that left none."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from uuid import UUID

from django.db import OperationalError, connections

from events.clock import LOOK_AFTER
from events.crashpoints import crashpoint
from events.delivery.by_index import never_all
from events.delivery.waiting import PATIENCE, is_lock_timeout, limited_waiting, writing
from events.models import State
from events.relay.ageing import Size
from events.relay.due import Due, is_any_due, locked_due, oldest_due, postpone, recorded, settle
from events.relay.recording import First, record
from events.relay.workers import Pair

# Events of one call, at most.
BATCH = 500
# Seconds one may take: feeding waits for it. SQLite makes each event's row anew, its envelope included, so that a few
# large ones take as long as hundreds of others.
_TARGET = 0.5
# Whole hundreds, where it takes so many: what is sent at once are a hundred, and the rest would be a message too.
_ROUND = 100
# Seconds between two transactions of a call, in which other writers of SQLite get their turn.
_GAP = 0.005

# Alias → events of its next call.
_sizes: defaultdict[str, Size] = defaultdict(lambda: Size(target=_TARGET, first=BATCH, most=BATCH))


def batch(using: str) -> int:
    """How many events the next call of `materialise` examines, where as many are due."""
    rows = _sizes[using].rows
    return rows if rows < _ROUND else rows - rows % _ROUND


def materialise(using: str, held: frozenset[Pair]) -> int:
    """Records for the events that are due, a batch of them; how many events were examined."""
    most = batch(using)
    try:
        began = time.monotonic()
        examined = _examined_in_turns(using, held, most)
        _sizes[using].learn(time.monotonic() - began, examined)
        return examined
    except OperationalError as error:
        if not is_lock_timeout(error):
            raise
    # A claim for one of them is open, and nobody says to hold it: the others must not wait for that.
    return sum(_alone(using, held, pk) for pk in oldest_due(using, most))


def _examined_in_turns(using: str, held: frozenset[Pair], most: int) -> int:
    """Where there is one writer at a time, no more of them in a transaction than others can well wait for."""
    step = most if connections[using].features.has_select_for_update else _ROUND
    examined = 0
    while examined < most:
        asked = min(step, most - examined)
        # Asked first: on SQLite a transaction waits for whoever writes, also where there is nothing to do.
        found = _examined(using, held, asked) if is_any_due(using) else 0
        examined += found
        if found < asked:
            break
        if examined < most:
            time.sleep(_GAP)
    return examined


def _alone(using: str, held: frozenset[Pair], pk: UUID) -> int:
    try:
        return _examined(using, held, 1, pk, patience=1)
    except OperationalError as error:
        if not is_lock_timeout(error):
            raise
    _record_one_by_one(using, held, pk)
    postpone(using, [pk])
    return 1


def _record_one_by_one(using: str, held: frozenset[Pair], pk: UUID) -> None:
    """A claim of one receiver's is open, and nobody says to hold it: the others' records don't wait for it either."""
    with writing(using):
        firsts = [first for event in locked_due(using, 1, pk) for first in _firsts(*event[1:])]
    for first in firsts:
        if _is_held(pk, first, held):
            continue
        try:
            with writing(using), limited_waiting(using, 1):
                record(using, {first: [pk]})
        except OperationalError as error:
            if not is_lock_timeout(error):
                raise


def _examined(
    using: str, held: frozenset[Pair], most: int, pk: UUID | None = None, patience: int = PATIENCE
) -> int:
    with writing(using), limited_waiting(using, patience):
        never_all(using)
        events = locked_due(using, most, pk)
        busy = _record(using, events, held)
        settle(using, [event.pk for event in events if event.pk not in busy])
        postpone(using, list(busy))
        crashpoint("relay.materialised")
    return len(events)


def _record(using: str, events: Sequence[Due], held: frozenset[Pair]) -> set[UUID]:
    """Events of which a receiver has no record yet, as a worker has it in hand.

    Its claim may be open in a long transaction, and our insert would wait for it. The event's others have theirs: a
    receiver that hangs must not hold them up.
    """
    busy: set[UUID] = set()
    if not events:
        return busy
    there = recorded(using, [event.pk for event in events])
    found: defaultdict[First, list[UUID]] = defaultdict(list)
    for pk, receivers, published in events:
        for first in _firsts(receivers, published):
            if (pk, first.receiver) in there:
                continue
            if held and _is_held(pk, first, held):
                busy.add(pk)
            else:
                found[first].append(pk)
    record(using, found)
    return busy


def _is_held(pk: UUID, first: First, held: frozenset[Pair]) -> bool:
    return (first.receiver, str(pk)) in held


# Events of one kind say the same.
@lru_cache(maxsize=1024)
def _firsts(receivers: str, published: str) -> Sequence[First]:
    """One for each receiver, by the event's two texts."""
    queues, names = json.loads(receivers), set(json.loads(published))
    # Where the emitter published all of it, it became due when it had had the time to arrive.
    wait = 0 if len(names) == len(queues) else LOOK_AFTER
    return tuple(
        First(name, queue, State.SENT, wait) if name in names else First(name, queue, State.WAITING, wait=0)
        for name, queue in queues.items()
    )
