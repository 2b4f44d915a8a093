"""What the last hour's minutes say, added up: by minute, queue and receiver."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from events.histogram import added, quantile
from events.models import Minute, State

SPAN = 60
_MINUTE = timedelta(minutes=1)
_SHARES = (0.5, 0.95, 0.99)
# Minutes whose pace is taken for today's.
_RECENT = 5


@dataclass(slots=True, kw_only=True)
class Sum:
    """What ended in an hour."""

    done: int = 0
    skipped: int = 0
    dead: int = 0
    failed_tries: int = 0
    slowest_ms: int = 0
    # Of the same in the last five whole minutes.
    recent: int = 0
    wait: list[int] = field(default_factory=list)
    run: list[int] = field(default_factory=list)
    # Of each minute, the oldest first.
    by_minute: list[int] = field(default_factory=lambda: [0] * SPAN)

    @property
    def ended(self) -> int:
        return self.done + self.skipped + self.dead

    def failure_share(self, more: int = 0) -> float | None:
        """Of all tries; `more`: failed ones of deliveries that have not ended."""
        failed = self.failed_tries + more
        tries = failed + self.done + self.skipped
        return failed / tries if tries else None

    def per_minute(self) -> float:
        return self.recent / _RECENT

    def waits(self) -> tuple[float | None, ...]:
        """p50, p95, p99 in milliseconds."""
        return tuple(quantile(self.wait, share) for share in _SHARES)

    def runs(self) -> tuple[float | None, ...]:
        found = (quantile(self.run, share) for share in _SHARES)
        # Which is known exactly: a bucket's upper half may be empty.
        return tuple(None if each is None else min(each, max(self.slowest_ms, 1)) for each in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One minute of the chart."""

    minute: datetime
    emitted: int = 0
    done: int = 0
    skipped: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    bars: Sequence[Bar]
    queues: dict[str, Sum]
    receivers: dict[str, Sum]

    def last(self) -> Bar:
        """The last whole minute."""
        return self.bars[-2]

    def total(self) -> Counter[str]:
        names = ("emitted", "done", "skipped", "dead")
        return Counter({name: sum(getattr(bar, name) for bar in self.bars) for name in names})


def last_hour(using: str) -> Hour:
    """In one statement over a few rows for each minute, however many deliveries they tell of."""
    current = timezone.now().replace(second=0, microsecond=0)
    first = current - (SPAN - 1) * _MINUTE
    rows = Minute.objects.using(using).filter(minute__gte=first, minute__lte=current)
    return _summed(rows, first)


def _summed(rows: Iterable[Minute], first: datetime) -> Hour:
    bars: defaultdict[int, Counter[str]] = defaultdict(Counter)
    queues: defaultdict[str, Sum] = defaultdict(Sum)
    receivers: defaultdict[str, Sum] = defaultdict(Sum)
    for row in rows:
        at = int((row.minute - first) / _MINUTE)
        bars[at][row.state] += row.count
        if row.state != Minute.EMITTED:
            _add(queues[row.queue], row, at)
            _add(receivers[row.receiver], row, at)
    return Hour(
        bars=[Bar(minute=first + at * _MINUTE, **bars[at]) for at in range(SPAN)],
        queues=dict(queues),
        receivers=dict(receivers),
    )


def _add(to: Sum, row: Minute, at: int) -> None:
    match row.state:
        case State.DONE:
            to.done += row.count
        case State.SKIPPED:
            to.skipped += row.count
        case State.DEAD:
            to.dead += row.count
    to.failed_tries += row.failed_tries
    to.slowest_ms = max(to.slowest_ms, row.slowest_ms)
    to.wait, to.run = added(to.wait, row.wait), added(to.run, row.run)
    to.by_minute[at] += row.count
    # The minute that runs is not whole.
    if SPAN - 1 - _RECENT <= at < SPAN - 1:
        to.recent += row.count
