"""Which queues and receivers a person has paused, as this process knows it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from events.models import PausedReceiver, Queue

# Seconds: how long after a pause a message may still be published. A worker asks again before it runs one.
FRESH = 1.0


@dataclass(frozen=True, slots=True)
class Pauses:
    queues: frozenset[str] = frozenset()
    receivers: frozenset[str] = frozenset()
    # Those of them that the kill switch parked, and (receiver, event id) of the deliveries it lets through.
    parked: frozenset[str] = frozenset()
    probes: frozenset[tuple[str, str]] = frozenset()

    def cover(self, receiver: str, queue: str) -> bool:
        return receiver in self.receivers or queue in self.queues

    def let_through(self, receiver: str, queue: str, ids: Sequence[str]) -> bool:
        """Whether a message of what they cover is a probe."""
        return queue not in self.queues and len(ids) == 1 and (receiver, ids[0]) in self.probes


_known: dict[str, tuple[float, Pauses]] = {}


def known(using: str) -> Pauses:
    """The latest this process has read; asks nothing."""
    return _known.get(using, (0.0, Pauses()))[1]


def current(using: str, fresh: float = FRESH) -> Pauses:
    """At most `fresh` seconds old: two queries where what is known is older."""
    read_at, pauses = _known.get(using, (float("-inf"), Pauses()))
    if time.monotonic() - read_at < fresh:
        return pauses
    queues = Queue.objects.using(using).filter(paused=True).values_list("name", flat=True)
    receivers = list(PausedReceiver.objects.using(using).values_list("name", "probe_at", "probe"))
    pauses = Pauses(
        queues=frozenset(queues),
        receivers=frozenset(name for name, _, _ in receivers),
        parked=frozenset(name for name, probe_at, _ in receivers if probe_at),
        probes=frozenset((name, str(probe)) for name, probe_at, probe in receivers if probe_at and probe),
    )
    _known[using] = (time.monotonic(), pauses)
    return pauses
