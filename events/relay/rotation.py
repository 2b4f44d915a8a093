"""Whose turn it is: who comes first each time may be the only one that ever comes."""

from __future__ import annotations

from collections.abc import Iterable


def in_turn(names: Iterable[str], *, after: str) -> list[str]:
    """Sorted, but from the one that follows `after` on; `after` itself comes last."""
    return sorted(names, key=lambda name: (name <= after, name))
