"""OpenTelemetry, where a project has set it up. Elsewhere nothing of it happens, and next to nothing is asked.

A project sets it up in each process that emits or works: in wsgi.py, and for a pool's processes at Celery's
`worker_process_init`, because exporters have threads and a fork takes none along.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol
from uuid import UUID

try:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    IS_INSTALLED = False
else:
    IS_INSTALLED = True
    _propagator = TraceContextTextMapPropagator()

logger = logging.getLogger("events")

_HEADER = "traceparent"


class Told(Protocol):
    """What a span says of an event."""

    @property
    def id(self) -> UUID: ...
    @property
    def type(self) -> str: ...
    @property
    def correlation_id(self) -> UUID: ...
    @property
    def attempt(self) -> int: ...
    @property
    def traceparent(self) -> str | None: ...


def is_on() -> bool:
    if not IS_INSTALLED:
        return False
    try:
        provider = trace.get_tracer_provider()
    except Exception:  # noqa: BLE001 - OpenTelemetry loads what the environment names, and has logged why it can't
        return False
    return not isinstance(provider, trace.ProxyTracerProvider)


def traceparent() -> str | None:
    """Of the span that is open here; None where none is."""
    # Asked for each event, so not is_on(), which takes five times as long.
    if not IS_INSTALLED or not trace.get_current_span().get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(_HEADER)


@contextmanager
def spanned(receiver: str, events: Sequence[Told]) -> Iterator[None]:
    """A span around a receiver's run: of one event, a child of the span that emitted it; of several, linked to each.

    What the receiver raises is on it. Only where telemetry is on; what fails of it is logged, and the receiver runs.
    """
    span: AbstractContextManager[None] = _span(receiver, events)
    try:
        span.__enter__()
    except Exception:
        logger.exception("events.telemetry receiver=%s", receiver)
        span = nullcontext()
    try:
        yield
    except BaseException as ending:
        _end(span, receiver, ending)
        raise
    _end(span, receiver, None)


def _end(span: AbstractContextManager[None], receiver: str, ending: BaseException | None) -> None:
    try:
        if ending is None:
            span.__exit__(None, None, None)
        else:
            span.__exit__(type(ending), ending, ending.__traceback__)
    except Exception as error:
        if error is not ending:
            # A project's own processors may raise. The receiver's effect has happened, or its own error counts.
            logger.exception("events.telemetry receiver=%s", receiver)


@contextmanager
def _span(receiver: str, events: Sequence[Told]) -> Iterator[None]:
    tracer = trace.get_tracer("events")
    parents = [_extracted(event.traceparent) for event in events]
    links = [trace.Link(found) for parent in parents if (found := _span_context(parent)).is_valid]
    with tracer.start_as_current_span(
        receiver,
        # Whatever is open in a worker is not what caused this.
        context=parents[0] if len(events) == 1 else _extracted(None),
        kind=trace.SpanKind.CONSUMER,
        links=links,
        attributes=_attributes(receiver, events),
    ):
        yield


def _extracted(parent: str | None) -> Any:
    return _propagator.extract({_HEADER: parent} if parent else {})


def _span_context(parent: Any) -> trace.SpanContext:
    return trace.get_current_span(parent).get_span_context()


def _attributes(receiver: str, events: Sequence[Told]) -> dict[str, str | int]:
    common: dict[str, str | int] = {
        "messaging.system": "celery",
        "messaging.operation.type": "process",
        "messaging.batch.message_count": len(events),
        "events.receiver": receiver,
    }
    if len(events) > 1:
        return common
    [event] = events
    return common | {
        "messaging.message.id": str(event.id),
        "messaging.message.conversation_id": str(event.correlation_id),
        "events.type": event.type,
        "events.attempt": event.attempt,
    }
