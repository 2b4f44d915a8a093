"""Finished events and their deliveries, refusals and task results go by age. docs/decisions/0009-retention.md."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple
from uuid import UUID

from django.db import OperationalError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from events.clock import after
from events.crashpoints import crashpoint
from events.delivery.waiting import is_lock_timeout, limited_waiting, skipping_locked
from events.models import Action, Delivery, EventRecord, Refusal, State
from events.relay.ageing import Size, slices
from events.relay.results import expired

logger = logging.getLogger("events")

_DAY = 86_400
# Days a record of who did what is kept, where events aren't kept longer.
_ACTIONS = 365.0
_FINAL = {State.DONE, State.SKIPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many rows were looked at, and how many of which kind went."""

    examined: int = 0
    events: int = 0
    refusals: int = 0
    results: int = 0
    actions: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        pairs = zip(self.__slots__, map(sum, zip(astuple(self), astuple(other), strict=True)), strict=True)
        return Pruned(**dict(pairs))

    def __bool__(self) -> bool:
        return bool(self.events or self.refusals or self.results or self.actions)


def prune(using: str, days: float, *, dry_run: bool = False) -> Iterator[Pruned]:
    """Delete what finished more than `days` ago; yields what became of each slice.

    An event stays, with all its deliveries, while one of them is unfinished or a dead letter: without its record
    a delivery would run again. Task results expire as Celery is told: see events.relay.results.
    """
    yield from _events(using, days, dry_run)
    old = Refusal.objects.using(using).filter(at__lt=after(-days * _DAY))
    for examined, gone in _rows(old, "at", dry_run):
        yield Pruned(examined=examined, refusals=gone)
    for rows in expired(using, days):
        for examined, gone in _rows(rows, "date_done", dry_run):
            yield Pruned(examined=examined, results=gone)
    # Never sooner, also where a person prunes what is younger: it says who did.
    deeds = Action.objects.using(using).filter(at__lt=after(-max(days, _ACTIONS) * _DAY))
    for examined, gone in _rows(deeds, "at", dry_run):
        yield Pruned(examined=examined, actions=gone)


def _events(using: str, days: float, dry_run: bool) -> Iterator[Pruned]:
    old = EventRecord.objects.using(using).filter(emitted_at__lt=after(-days * _DAY))
    size = Size()
    for keys in slices(old, "emitted_at", size):
        found = _judged(using, EventRecord.objects.using(using).filter(pk__in=keys))
        gone = len(found.finished)
        if not dry_run and (found.finished or found.unlooked):
            gone = _delete(using, [*found.finished, *found.unlooked], size)
        yield Pruned(examined=len(keys), events=gone)


class _Judged(NamedTuple):
    finished: list[UUID]
    # No relay looks at them any more, and a receiver has no record.
    unlooked: list[UUID]


def _judged(using: str, events: QuerySet[EventRecord]) -> _Judged:
    listed = dict(events.filter(next_at=None).order_by("pk").values_list("pk", "receivers"))
    states: dict[UUID, dict[str, str]] = defaultdict(dict)
    rows = Delivery.objects.using(using).filter(event_id__in=list(listed)).order_by()
    for event_id, receiver, state in rows.values_list("event_id", "receiver", "state"):
        states[event_id][receiver] = state
    unlooked = [pk for pk, receivers in listed.items() if receivers.keys() - states[pk].keys()]
    final = [pk for pk in listed if _FINAL.issuperset(states[pk].values())]
    return _Judged(finished=[pk for pk in final if pk not in unlooked], unlooked=unlooked)


def _delete(using: str, keys: Sequence[UUID], size: Size) -> int:
    try:
        with transaction.atomic(using=using), limited_waiting(using):
            started = time.monotonic()
            # Judged again under lock: a replay may have let one of them run again since.
            found = _judged(using, skipping_locked(EventRecord.objects.using(using).filter(pk__in=keys)))
            _look_again(using, found.unlooked)
            # Together: a message that comes again afterwards finds no event, and is refused.
            Delivery.objects.using(using).filter(event_id__in=found.finished)._raw_delete(using)
            crashpoint("prune.halfway")
            EventRecord.objects.using(using).filter(pk__in=found.finished)._raw_delete(using)
    except OperationalError as error:
        if not is_lock_timeout(error):
            raise
        # Somebody has one of their records in hand: they are seen again next time.
        return 0
    size.learn(time.monotonic() - started, len(found.finished))
    return len(found.finished)


def _look_again(using: str, keys: Sequence[UUID]) -> None:
    if keys:
        EventRecord.objects.using(using).filter(pk__in=keys).update(next_at=Now())
        logger.error(
            "events.prune alias=%s unrecorded=%d first=%s remedy='the relay looks at them'",
            using,
            len(keys),
            keys[0],
        )


def _rows(old: QuerySet, at: str, dry_run: bool) -> Iterator[tuple[int, int]]:  # type: ignore[type-arg]
    """Delete rows that nothing else depends on; yields how many were looked at, and how many went."""
    size = Size()
    for keys in slices(old, at, size):
        yield len(keys), len(keys) if dry_run else _delete_rows(old, keys, size)


def _delete_rows(old: QuerySet, keys: Sequence[object], size: Size) -> int:  # type: ignore[type-arg]
    with transaction.atomic(using=old.db):
        started = time.monotonic()
        # Still old: a row may have been written again since. And unlocked: two prunes take different ones.
        gone = list(skipping_locked(old.filter(pk__in=keys).order_by("pk")).values_list("pk", flat=True))
        old.model._base_manager.using(old.db).filter(pk__in=gone)._raw_delete(old.db)
    size.learn(time.monotonic() - started, len(gone))
    return len(gone)
