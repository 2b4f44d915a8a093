"""How far the relays are with a backlog, whoever of them works on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models.functions import Now

from events.models import IS_WAITING, Delivery, EventRecord

# Events whose receivers are counted, for what the others will need.
_SAMPLE = 100
# Seconds over which a rate is taken.
_WINDOW = 30.0
# So many times as many deliveries as at the look before are another backlog: committed at once, not grown.
_LEAP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What is due now."""

    # Events that no relay has examined yet.
    events: int
    # Deliveries that wait to be sent.
    waiting: int
    # All that is to be sent: those that wait, and what the events will need.
    deliveries: int


def ahead(aliases: Sequence[str]) -> Ahead:
    """Counts all of it, through the indexes of what is due: a quarter of a second for a million."""
    events = waiting = to_come = 0
    for using in aliases:
        due = EventRecord.objects.using(using).filter(next_at__lte=Now())
        here = due.count()
        events += here
        to_come += round(here * _receivers_each(list(due.values_list("receivers", flat=True)[:_SAMPLE])))
        waiting += Delivery.objects.using(using).filter(IS_WAITING, next_at__lte=Now()).count()
    return Ahead(events=events, waiting=waiting, deliveries=waiting + to_come)


def _receivers_each(sample: Sequence[dict[str, str]]) -> float:
    return sum(map(len, sample)) / len(sample) if sample else 0.0


class Progress:
    """Of one backlog: from when it is first seen until nothing is due."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Ahead]] = deque()
        self._most = 0

    def add(self, at: float, now: Ahead) -> None:
        """`at`: seconds by any clock that never goes back."""
        if not now.deliveries or self._is_new(now):
            # What was before it is no part of its pace.
            self._seen.clear()
            self._most = 0
        self._most = max(self._most, now.deliveries)
        self._seen.append((at, now))
        while at - self._seen[0][0] > _WINDOW:
            self._seen.popleft()

    def _is_new(self, now: Ahead) -> bool:
        return bool(self._seen) and now.deliveries > _LEAP * self.now.deliveries

    @property
    def now(self) -> Ahead:
        return self._seen[-1][1]

    @property
    def share(self) -> float:
        """What is done of the most there was: 0 to 1."""
        return 1 - self.now.deliveries / self._most if self._most else 1.0

    @property
    def rate(self) -> float | None:
        """Deliveries fewer a second; below 0 where more arrive than are sent; None as long as it is not known."""
        (first, before), (last, after) = self._seen[0], self._seen[-1]
        return (before.deliveries - after.deliveries) / (last - first) if last > first else None

    @property
    def left(self) -> float | None:
        """Seconds, at that rate; None where it will never end so, or isn't known."""
        return self.now.deliveries / self.rate if self.rate and self.rate > 0 else None
