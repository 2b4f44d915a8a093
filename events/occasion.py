"""What happened, when, where and by whom: noted at once, and written into an envelope when that is asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from events.capture import Capture
from events.conf import settings
from events.context import Cause, cause, correlation_id, current_request, traceparent
from events.envelope import BY, Envelope, encode
from events.ids import stamp, uuid7_at
from events.outbox import Content
from events.serializers import RequestInfo


@dataclass(slots=True)
class Occasion:
    capture: Capture
    # Of its schema.
    version: int
    stamp: int
    # Nanoseconds since 1970: a stamp is more where the clock was set back.
    at: int
    cause: Cause | None
    correlation_id: UUID | None
    traceparent: str | None
    # The request, as an envelope says it.
    by: dict[str, Any] | None

    @classmethod
    def now(cls, capture: Capture, version: int) -> Occasion:
        request = current_request()
        # Who it is may be another by the end of the transaction: a login.
        by = None if request is None else RequestInfo.of(request, headers=False).brief()
        return cls(
            capture,
            version,
            stamp(),
            time.time_ns(),
            cause.get(),
            correlation_id(),
            traceparent(),
            by,
        )

    def content(self) -> Content:
        """Of the event that was emitted then. Raises what `Capture.read` does."""
        captured = self.capture.read()
        id = uuid7_at(self.stamp)
        shared = self.correlation_id or id
        causation = self.cause.event_id if self.cause else None
        if self.by is not None:
            captured.data[BY] = self.by
        text = str(id)
        envelope = Envelope(
            id=text,
            source=settings.SOURCE,
            type=captured.type,
            subject=captured.subject or msgspec.UNSET,
            time=_iso(self.at),
            schemaversion=self.version,
            correlationid=text if shared is id else str(shared),
            causationid=str(causation) if causation else msgspec.UNSET,
            traceparent=self.traceparent or msgspec.UNSET,
            data=captured.data,
        )
        return Content(id, captured.type, captured.subject, shared, causation, encode(envelope))


def _iso(at: int) -> str:
    seconds, rest = divmod(at, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1000:06d}+00:00"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    # Many events are of the same one.
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
