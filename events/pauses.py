"""Which queues and receivers a person has paused, as this process knows it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from events.models import PausedReceiver, Queue

# Seconds: how long after a pause a message may still be published. A worker asks again before it runs one.
FRESH = 1.0


@dataclass(frozen=True, slots=True)
class Pauses:
    queues: frozenset[str] = frozenset()
    receivers: frozenset[str] = frozenset()

    def cover(self, receiver: str, queue: str) -> bool:
        return receiver in self.receivers or queue in self.queues


_known: dict[str, tuple[float, Pauses]] = {}


def known(using: str) -> Pauses:
    """The latest this process has read; asks nothing."""
    return _known.get(using, (0.0, Pauses()))[1]


def current(using: str, fresh: float = FRESH) -> Pauses:
    """At most `fresh` seconds old: two queries where what is known is older."""
    read_at, pauses = _known.get(using, (float("-inf"), Pauses()))
    if time.monotonic() - read_at < fresh:
        return pauses
    pauses = Pauses(
        queues=frozenset(Queue.objects.using(using).filter(paused=True).values_list("name", flat=True)),
        receivers=frozenset(PausedReceiver.objects.using(using).values_list("name", flat=True)),
    )
    _known[using] = (time.monotonic(), pauses)
    return pauses
