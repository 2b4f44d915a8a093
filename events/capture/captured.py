from __future__ import annotations

from typing import Any, NamedTuple, Protocol

UNCAPTURED = "uncaptured"


class Captured(NamedTuple):
    type: str
    subject: str
    data: dict[str, Any]


class Capture(Protocol):
    """What of a signal travels, as it is at this moment."""

    @property
    def may_wait(self) -> bool:
        """Whether nothing can change it before it is read."""

    def size(self) -> int:
        """Characters and bytes it holds until then."""

    def read(self) -> Captured:
        """Raises `NotSerializable` for a custom signal's argument; Django's own signals never fail here."""
