"""Of which broker a worker's channel is."""

from __future__ import annotations

from typing import Any


def pops(channel: Any) -> bool:
    """Whether it is Redis's, by whatever transport: it pops messages off lists, and those are in no queue then."""
    return "BRPOP" in getattr(channel, "handlers", ())
