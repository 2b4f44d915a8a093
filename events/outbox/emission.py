from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(slots=True, kw_only=True)
class Emission:
    """An emitted event on its way into the outbox."""

    id: UUID
    type: str
    subject: str
    correlation_id: UUID
    causation_id: UUID | None
    # Name → queue; one for all events of the same receivers, and not to be changed.
    receivers: Mapping[str, str]
    envelope: str
    # Names of the receivers whose messages the emitter publishes after the commit.
    published: Sequence[str] = ()
    # The flush it was written by; None while it isn't in the database.
    flushed: int | None = None
    dropped: bool = False
    # A test looks at it: whether it was dropped has to be told.
    observed: bool = False

    def is_left(self) -> bool:
        """Whether some of it is the relay's to publish."""
        return len(self.published) < len(self.receivers)
