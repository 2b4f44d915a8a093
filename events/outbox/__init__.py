"""The table of emitted events, written in the emitter's own transaction."""

from events.outbox.emission import Content, Emission
from events.outbox.large import LARGE
from events.outbox.writing import FLUSH_CHARACTERS, FLUSH_EVERY, insert

__all__ = ["FLUSH_CHARACTERS", "FLUSH_EVERY", "LARGE", "Content", "Emission", "insert"]
