"""When a queue that moves has room again: so often, and no more often, is it looked at.

A window is some hundred milliseconds of work, or minutes. A relay that comes late leaves the workers idle; one that
comes for each message taken costs more than it sends. So it aims at finding half of the window taken.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """What a round did for a queue."""

    window: int
    # Messages that there was place for when it looked.
    room: int
    sent: int
    # When it looked.
    at: float = field(default_factory=time.monotonic)


class Pacing:
    """Of the queues that one relay feeds."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._looked: dict[tuple[str, str], float] = {}

    def due(self, using: str, queue: str, fed: Fed) -> float:
        """When to look again, by the clock that `fed.at` is of; after `longest` where nothing more waits."""
        key = using, queue
        since = min(self._longest, fed.at - self._looked.get(key, fed.at - self._longest))
        self._looked[key] = fed.at
        if fed.sent < fed.room:
            return fed.at + self._longest
        # Of a full one, less was taken than could be seen: half as long again.
        taken = max(fed.room, fed.window / 3)
        return fed.at + min(self._longest, since * fed.window / 2 / taken)
