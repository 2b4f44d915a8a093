"""The figures of each minute, kept up by one relay at a time. See docs/decisions/0013-figures.md.

What is stored of a minute is what its rows say: to count it again does no harm, whoever died in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, transaction
from django.db.models import Q
from django.db.models.functions import Now

from events.clock import after
from events.crashpoints import crashpoint
from events.histogram import added, larger
from events.identity import who
from events.models import Meter, Minute
from events.relay.counting import Counted, Counts, Key, count, first_after

logger = logging.getLogger("events")

METER = "deliveries"
MINUTE = timedelta(minutes=1)
# A claim says when it ended before it commits: so long after a minute, none can be open that ends in it.
SETTLED = timedelta(hours=2)
# How far back the minutes are kept.
KEPT = timedelta(hours=3)
# The first reading of all goes back so far.
_BEGINNING = timedelta(hours=1)
# Seconds a relay keeps the meter without a word.
LEASE = 30
# Seconds that a commit may come after what it says: those of the minute that runs are added up meanwhile.
_LATE = timedelta(seconds=2)

_SUMS = ("count", "failed_tries", "wait_ms", "run_ms")
_BUCKETS = ("wait", "run")
_FIELDS = (*_SUMS, *_BUCKETS, "slowest_ms")


class NotOurs(Exception):
    """Another relay reads the meter by now."""


class Reader:
    """Reads the meter of `using` again and again; remembers how much of the minute that runs is counted already."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._minute: datetime | None = None
        # Until when it is counted; set with it.
        self._until: datetime
        self._counts: Counts = {}

    def read(self) -> Iterator[None]:
        """One reading, in steps of a moment each; nothing where another relay does it."""
        meter = _taken(self._using)
        if meter is None:
            return
        try:
            yield from self._ended(meter)
            yield from self._running(meter)
            yield
            yield from self._settled(meter)
            _forget(self._using, meter.read_at)
        except NotOurs:
            logger.info("events.meter alias=%s state='another relay reads it'", self._using)

    def _ended(self, meter: Meter) -> Iterator[None]:
        """Count each minute when it has ended."""
        current = floor(meter.read_at - _LATE)
        yield from self._count(meter.counted_to, current, "counted_to", meter)

    def _settled(self, meter: Meter) -> Iterator[None]:
        """Count it once more: somebody may have committed since then what ended in it."""
        yield from self._count(meter.settled_to, floor(meter.read_at - SETTLED), "settled_to", meter)

    def _count(self, at: datetime | None, until: datetime, mark: str, meter: Meter) -> Iterator[None]:
        if at is None:
            # Written down, though there may be nothing to count yet: it begins here, whenever that is.
            at = floor(meter.read_at - _BEGINNING)
            self._note(**{mark: at})
        if at >= until:
            return
        found = _next(self._using, at)
        while found is not None and found < until:
            counts: Counts = {}
            yield from count(self._using, found, found + MINUTE, counts)
            _write(self._using, found, counts)
            crashpoint("relay.metered")
            self._note(**{mark: found + MINUTE})
            # Nights are long, and nothing may have happened in them.
            found = _next(self._using, found + MINUTE)
        self._note(**{mark: until})

    def _running(self, meter: Meter) -> Iterator[None]:
        """Add to the minute that runs what has ended since the last reading."""
        until = meter.read_at - _LATE
        current = floor(until)
        if current != self._minute:
            self._minute, self._until, self._counts = current, current, {}
        yield from count(self._using, self._until, until, self._counts)
        self._until = until
        _write(self._using, current, self._counts)

    def _note(self, **values: datetime) -> None:
        if not _ours(self._using).update(lease_until=after(LEASE), **values):
            raise NotOurs


def floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _next(using: str, minute: datetime) -> datetime | None:
    found = first_after(using, minute)
    return None if found is None else floor(found)


def _taken(using: str) -> Meter | None:
    meters = Meter.objects.using(using)
    free = Q(lease_until=None) | Q(lease_until__lt=Now()) | Q(lease_owner=who())
    values: dict[str, Any] = {"lease_owner": who(), "lease_until": after(LEASE), "read_at": Now()}
    rows = meters.filter(free, name=METER)
    if not rows.update(**values):
        meters.bulk_create([Meter(name=METER)], ignore_conflicts=True)
        if not rows.update(**values):
            return None
    return meters.get(name=METER)


def meter_of(using: str) -> Meter | None:
    """None until a relay has read it for the first time."""
    return Meter.objects.using(using).filter(name=METER).first()


def _ours(using: str) -> Any:
    return Meter.objects.using(using).filter(name=METER, lease_owner=who())


def leave(using: str) -> None:
    """A relay that stops lets others go on at once."""
    _ours(using).update(lease_until=None)


def _write(using: str, minute: datetime, counts: Mapping[Key, Counted]) -> None:
    """Store what was counted, and add to the sums of all minutes what is new in it: both, or neither."""
    if not counts:
        return
    with transaction.atomic(using=using):
        # Locks the meter: a relay that lost it and doesn't know yet waits here, and then is told.
        if not _ours(using).update(lease_until=after(LEASE)):
            raise NotOurs
        always = Minute.ever(using)
        stored, ever = _stored(using, minute), _stored(using, always)
        rows = []
        for key, found in counts.items():
            before = stored.get(key) or Minute(**key._asdict())
            now = _merged(before, found)
            if now != _values(before):
                rows.append(Minute(minute=minute, **key._asdict(), **now))
                total = _summed(ever.get(key) or Minute(**key._asdict()), before, now)
                rows.append(Minute(minute=always, **key._asdict(), **total))
        has_target = connections[using].features.supports_update_conflicts_with_target
        Minute.objects.using(using).bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["minute", *Key._fields] if has_target else None,
            update_fields=_FIELDS,
        )


def _stored(using: str, minute: datetime) -> dict[Key, Minute]:
    rows = Minute.objects.using(using).filter(minute=minute)
    return {Key(row.receiver, row.queue, row.state): row for row in rows}


def _merged(before: Minute, found: Counted) -> dict[str, Any]:
    """Never less than before: a dead letter that was redelivered since has ended even so."""
    counted = asdict(found)
    return {
        name: (larger if name in _BUCKETS else max)(getattr(before, name), counted[name]) for name in _FIELDS
    }


def _values(row: Minute) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _FIELDS}


def _summed(total: Minute, before: Minute, now: Mapping[str, Any]) -> dict[str, Any]:
    """With what is new in `now`."""
    values = {name: getattr(total, name) + now[name] - getattr(before, name) for name in _SUMS}
    for name in _BUCKETS:
        fewer = [-number for number in getattr(before, name)]
        values[name] = added(getattr(total, name), added(now[name], fewer))
    return {**values, "slowest_ms": max(total.slowest_ms, now["slowest_ms"])}


def _forget(using: str, now: datetime) -> None:
    """They stay in the sums."""
    Minute.objects.using(using).filter(minute__gt=Minute.ever(using), minute__lt=now - KEPT)._raw_delete(
        using
    )
