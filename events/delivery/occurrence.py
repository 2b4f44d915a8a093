"""What a receiver is given: the signal's own arguments, rebuilt, and the event they came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Model
from django.dispatch import Signal

from events.ids import idempotency_key


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredEvent:
    """The `event=` argument of an offloaded receiver."""

    id: UUID
    type: str
    subject: str
    # When it was emitted, by the emitter's clock.
    time: datetime
    correlation_id: UUID
    causation_id: UUID | None
    receiver: str
    # Times it was sent; 0 is the emitter's own message.
    attempt: int
    version: int = 1
    # W3C Trace Context, of the request or the event that it was emitted in.
    traceparent: str | None = None
    # Field → (before, after), of the fields named in offload(track=…).
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    # Names of arguments and fields that did not travel.
    withheld: tuple[str, ...] = ()
    using: str = "default"
    _arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def idempotency_key(self) -> str:
        """One per event and receiver, the same at every try: for the other side of an effect."""
        return idempotency_key(self.id, self.receiver)

    def refresh(self, name: str) -> Any:
        """The row that argument `name` names as it is in the database now. Raises the model's DoesNotExist."""
        instance = self._arguments[name]
        if not isinstance(instance, Model):
            raise TypeError(f"event.refresh({name!r}): that argument is a {type(instance).__name__}, no row.")
        return type(instance)._base_manager.using(self.using).get(pk=instance.pk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One occurrence of a signal; its arguments are attributes too: `occurrence.instance`."""

    signal: Signal | None
    sender: Any
    arguments: Mapping[str, Any]
    event: DeliveredEvent

    def __getattr__(self, name: str) -> Any:
        try:
            return self.arguments[name]
        except KeyError:
            raise AttributeError(f"{self.event.type} has no argument {name!r}") from None
