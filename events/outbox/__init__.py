"""The table of emitted events, written in the emitter's own transaction."""

from events.outbox.emission import Emission
from events.outbox.large import LARGE, tell_large
from events.outbox.writing import FLUSH_CHARACTERS, FLUSH_EVERY, insert

__all__ = ["FLUSH_CHARACTERS", "FLUSH_EVERY", "LARGE", "Emission", "insert", "tell_large"]
