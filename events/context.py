"""What surrounds an emission: whether the bus is muted here, and which event caused it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The event a receiver is handling: what it emits meanwhile is caused by it."""

    event_id: UUID
    correlation_id: UUID
    traceparent: str | None = None


cause: ContextVar[Cause | None] = ContextVar("events.cause", default=None)
_muted: ContextVar[bool] = ContextVar("events.muted", default=False)


@contextmanager
def muted() -> Iterator[None]:
    """Within it nothing is emitted for offloaded receivers; synchronous receivers run as ever."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


def is_muted() -> bool:
    return _muted.get()


@contextmanager
def caused_by(handled: Cause) -> Iterator[None]:
    token = cause.set(handled)
    try:
        yield
    finally:
        cause.reset(token)
