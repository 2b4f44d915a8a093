"""What surrounds an emission: whether the bus is muted here, which event caused it, and the trace it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from events import telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The event a receiver is handling: what it emits meanwhile is caused by it."""

    event_id: UUID
    correlation_id: UUID
    # Who handles it.
    receiver: str = ""


cause: ContextVar[Cause | None] = ContextVar("events.cause", default=None)
# The receiver that handles several at once: none of them is the cause of what it emits.
_batch: ContextVar[str] = ContextVar("events.batch", default="")
_muted: ContextVar[bool] = ContextVar("events.muted", default=False)
# A Django HttpRequest, where the middleware is installed.
_request: ContextVar[Any] = ContextVar("events.request", default=None)
_correlation: ContextVar[UUID | None] = ContextVar("events.correlation", default=None)
_trace: ContextVar[str | None] = ContextVar("events.trace", default=None)

# W3C Trace Context: version, trace, parent and flags; ids of nothing but zeros are none.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


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
def caused_by(handled: Cause, parent: str | None) -> Iterator[None]:
    """What is emitted within it is caused by that event, and carries on its trace: see `traced`."""
    token, trace = cause.set(handled), _trace.set(_traceparent(parent))
    try:
        yield
    finally:
        cause.reset(token)
        _trace.reset(trace)


@contextmanager
def batch_of(receiver: str) -> Iterator[None]:
    token = _batch.set(receiver)
    try:
        yield
    finally:
        _batch.reset(token)


def handled() -> dict[str, str]:
    """What is being handled here, for logs: `event_id`, `correlation_id` and `receiver`, or less."""
    source = cause.get()
    if source is not None:
        return {
            "event_id": str(source.event_id),
            "correlation_id": str(source.correlation_id),
            "receiver": source.receiver,
        }
    return {"receiver": name} if (name := _batch.get()) else {}


@contextmanager
def traced(parent: str | None) -> Iterator[None]:
    """What is emitted within it carries `parent` as its `traceparent`; a text that is none is left out."""
    token = _trace.set(_traceparent(parent))
    try:
        yield
    finally:
        _trace.reset(token)


def _traceparent(text: str | None) -> str | None:
    return text if text and _TRACEPARENT.fullmatch(text) else None


def traceparent() -> str | None:
    """Of the span that is open here, where telemetry is set up; else the one that `traced` was given."""
    return telemetry.traceparent() or _trace.get()


@contextmanager
def emitted_in(request: Any, correlation_id: UUID) -> Iterator[None]:
    """What is emitted within it says that it was this request, and whose; all of it shares `correlation_id`."""
    token, correlation = _request.set(request), _correlation.set(correlation_id)
    try:
        yield
    finally:
        _request.reset(token)
        _correlation.reset(correlation)


def current_request() -> Any:
    return _request.get()


def correlation_id() -> UUID | None:
    """What is emitted here shares it: that of the event which is handled, or the request's; None elsewhere."""
    source = cause.get()
    return source.correlation_id if source else _correlation.get()
