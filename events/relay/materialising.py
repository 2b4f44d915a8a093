"""Each event is examined once: a delivery's record for every receiver that left none."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import OperationalError, connections
from django.db.models import QuerySet
from django.db.models.functions import Now

from events.clock import LOOK_AFTER, after
from events.crashpoints import crashpoint
from events.delivery.waiting import PATIENCE, is_lock_timeout, limited_waiting, writing
from events.models import Delivery, EventRecord, State
from events.relay.ageing import Size
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


class _Due(NamedTuple):
    pk: UUID
    # Name → queue; and the names of those whose messages the emitter has published.
    receivers: Mapping[str, str]
    published: Sequence[str]


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
    due = EventRecord.objects.using(using).filter(next_at__lte=Now()).order_by("next_at")
    return sum(_alone(using, held, pk) for pk in list(due.values_list("pk", flat=True)[:most]))


def _examined_in_turns(using: str, held: frozenset[Pair], most: int) -> int:
    """Where there is one writer at a time, no more of them in a transaction than others can well wait for."""
    step = most if connections[using].features.has_select_for_update else _ROUND
    examined = 0
    while examined < most:
        asked = min(step, most - examined)
        found = _examined(using, held, _due(using, asked)) if _is_any_due(using) else 0
        examined += found
        if found < asked:
            break
        if examined < most:
            time.sleep(_GAP)
    return examined


def _is_any_due(using: str) -> bool:
    """Asked first: on SQLite a transaction waits for whoever writes, also where there is nothing to do."""
    return EventRecord.objects.using(using).filter(next_at__lte=Now()).exists()


def _alone(using: str, held: frozenset[Pair], pk: UUID) -> int:
    try:
        return _examined(using, held, _due(using, 1, pk), patience=1)
    except OperationalError as error:
        if not is_lock_timeout(error):
            raise
        return _rows(using, [pk]).update(next_at=after(LOOK_AFTER))


def _examined(using: str, held: frozenset[Pair], due: QuerySet[EventRecord], patience: int = PATIENCE) -> int:
    with writing(using), limited_waiting(using, patience):
        events = [_Due(*row) for row in due.values_list(*_Due._fields)]
        busy = {event.pk for event in events if _is_held(event, held)}
        settled = [e for e in events if e.pk not in busy]
        _record(using, settled)
        _rows(using, [e.pk for e in settled]).update(next_at=None)
        # A worker's claim for these may be open in a long transaction, and our insert would wait for it.
        _rows(using, list(busy)).update(next_at=after(LOOK_AFTER))
        crashpoint("relay.materialised")
    return len(events)


def _is_held(event: _Due, held: frozenset[Pair]) -> bool:
    text = str(event.pk)
    return any((name, text) in held for name in event.receivers)


def _due(using: str, most: int, pk: UUID | None = None) -> QuerySet[EventRecord]:
    features = connections[using].features
    due = EventRecord.objects.using(using).filter(next_at__lte=Now()).order_by("next_at")
    if pk is not None:
        due = due.filter(pk=pk)
    if features.has_select_for_update:
        # Skipping rows another relay holds: relays may run side by side.
        due = due.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
    return due[:most]


def _record(using: str, events: Sequence[_Due]) -> None:
    there = Delivery.objects.using(using).filter(event_id__in=[event.pk for event in events])
    recorded = set(there.values_list("event_id", "receiver"))
    found: defaultdict[First, list[UUID]] = defaultdict(list)
    for event in events:
        for name, queue in event.receivers.items():
            if (event.pk, name) not in recorded:
                found[_first(event, name, queue)].append(event.pk)
    record(using, found)


def _first(event: _Due, name: str, queue: str) -> First:
    if name not in event.published:
        return First(name, queue, State.WAITING, wait=0)
    # Where the emitter published all of it, it became due when it had had the time to arrive.
    wait = 0 if len(event.published) == len(event.receivers) else LOOK_AFTER
    return First(name, queue, State.SENT, wait)


def _rows(using: str, ids: list[UUID]) -> QuerySet[EventRecord]:
    return EventRecord.objects.using(using).filter(pk__in=ids)
