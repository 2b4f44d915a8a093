from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID


class Content(NamedTuple):
    id: UUID
    type: str
    # Whom it is about, as its envelope says it.
    subject: str
    correlation_id: UUID
    causation_id: UUID | None
    envelope: str


class Unwritten(Protocol):
    def content(self) -> Content: ...


@dataclass(slots=True)
class Emission:
    """An emitted event on its way into the outbox."""

    # Name → queue; one for all events of the same receivers, and not to be changed.
    receivers: Mapping[str, str]
    # Or what makes it, when it is asked for first.
    made: Content | Unwritten
    # Characters that it holds until then; those of its envelope from then on.
    size: int
    # Names of the receivers whose messages the emitter publishes after the commit.
    published: Sequence[str] = ()
    # The flush it was written by; None while it isn't in the database.
    flushed: int | None = None
    dropped: bool = False
    # A test looks at it: whether it was dropped has to be told.
    observed: bool = False

    @classmethod
    def written(cls, content: Content, receivers: Mapping[str, str]) -> Emission:
        return cls(receivers, content, len(content.envelope))

    def content(self) -> Content:
        made = self.made
        if not isinstance(made, Content):
            made = self.made = made.content()
            self.size = len(made.envelope)
        return made

    @property
    def id(self) -> UUID:
        return self.content().id

    @property
    def envelope(self) -> str:
        return self.content().envelope

    def is_left(self) -> bool:
        """Whether some of it is the relay's to publish."""
        return len(self.published) < len(self.receivers)
