"""How long a message may run: Celery's time limits are per message, `time_limit` is per event."""

from __future__ import annotations

from typing import NamedTuple

from events.registry import registry

# Seconds from the interruption of a receiver to the end of its process.
GRACE = 5.0
# Seconds a message of many events may take in all: the broker's visibility timeout must be longer.
MESSAGE_LIMIT = 600.0


class Limits(NamedTuple):
    """Seconds until the receiver is interrupted (None: never), and until its process is ended."""

    soft: float | None
    hard: float


def limits(receiver: str, events: int) -> Limits:
    """Those of a message of so many events.

    Only a message of one event is interrupted gently: in a chunk nobody could tell whose time ran out,
    so its process ends, and what it held comes back one by one.
    """
    seconds = registry.get(receiver).seconds() if receiver in registry else MESSAGE_LIMIT
    if events == 1:
        return Limits(seconds, seconds + GRACE)
    return Limits(None, max(seconds, min(seconds * events, MESSAGE_LIMIT)) + GRACE)
