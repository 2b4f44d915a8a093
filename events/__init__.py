"""Django signals that run on Celery workers, and are never lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from events.backoff import Backoff
from events.context import muted
from events.exceptions import (
    EventsError,
    InvalidEvent,
    InvalidOffload,
    NotSerializable,
    Skip,
    StaleInstance,
)
from events.saving import AtomicSave
from events.serializers import register_serializer
from events.signals import Event, event

if TYPE_CHECKING:
    from events.offloading import offload

__all__ = [
    "AtomicSave",
    "Backoff",
    "Event",
    "EventsError",
    "InvalidEvent",
    "InvalidOffload",
    "NotSerializable",
    "Skip",
    "StaleInstance",
    "event",
    "muted",
    "offload",
    "register_serializer",
]


def __getattr__(name: str) -> Any:
    # Django imports this package before it can import models, and `offload` needs the outbox's.
    if name == "offload":
        from events.offloading import offload  # noqa: PLC0415 - see above

        return offload
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
