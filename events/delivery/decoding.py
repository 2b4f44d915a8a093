"""From envelopes to occurrences, a whole batch at a time: one query per referenced model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Model
from django.dispatch import Signal

from events.delivery.occurrence import DeliveredEvent, Occurrence
from events.envelope import Envelope, decode
from events.ids import idempotency_key
from events.registry import Receiver, registry
from events.serializers import (
    Reference,
    SnapshotPlan,
    fetch_references,
    load_value,
    plan_for,
    substitute,
)
from events.serializers.references import references_in
from events.signal_names import signal_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One delivery as a message names it."""

    event_id: UUID
    attempt: int
    # JSON; "" while it is still to be read from the outbox.
    envelope: str
    # Whether its record was there before this message: else our claim is its insert.
    recorded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Rows that the event refers to and that are no longer there."""

    rows: tuple[Reference, ...]

    def __str__(self) -> str:
        return f"gone: {', '.join(f'{row.model} {row.pk}' for row in self.rows)}"[:200]


def occurrences(receiver: Receiver, name: str, items: Sequence[Item], using: str) -> list[Occurrence | Gone]:
    """In the order of `items`. `name`: the one the event lists the receiver under.

    Raises what decoding raises, for any of them: the chunk is then run one by one.
    """
    loaded = [_load(item, using) for item in items]
    found = fetch_references([values for _, values in loaded])
    return [
        _occurrence(receiver, name, item, envelope, substitute(values, found), using)
        if not (gone := _gone(values, found)) or receiver.missing == "none"
        else Gone(rows=gone)
        for item, (envelope, values) in zip(items, loaded, strict=True)
    ]


def _load(item: Item, using: str) -> tuple[Envelope, dict[str, Any]]:
    envelope = decode(item.envelope)
    values = {name: load_value(value) for name, value in envelope.data.get("args", {}).items()}
    if "instance" in envelope.data:
        values["instance"] = _plan(envelope.data).rebuild(envelope.data["instance"], using)
    return envelope, values


def _plan(data: Mapping[str, Any]) -> SnapshotPlan:
    model: type[Model] = apps.get_model(data["model"])
    return plan_for(model)


def _gone(values: object, found: Mapping[Reference, Model | None]) -> tuple[Reference, ...]:
    return tuple(reference for reference in references_in(values) if found.get(reference) is None)


def _occurrence(
    receiver: Receiver, name: str, item: Item, envelope: Envelope, arguments: Any, using: str
) -> Occurrence:
    data = envelope.data
    event = DeliveredEvent(
        id=item.event_id,
        type=envelope.type,
        subject=envelope.subject or "",
        time=datetime.fromisoformat(envelope.time),
        correlation_id=UUID(envelope.correlationid),
        causation_id=UUID(envelope.causationid) if envelope.causationid else None,
        idempotency_key=idempotency_key(item.event_id, name),
        receiver=name,
        attempt=item.attempt,
        version=envelope.schemaversion,
        changes=_changes(data),
        withheld=tuple(data.get("withheld", ())),
        using=using,
        _arguments=arguments,
    )
    return Occurrence(
        signal=_signal(receiver, data["signal"]),
        sender=_sender(data["sender"]),
        arguments=arguments,
        event=event,
    )


def _changes(data: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    if "changes" not in data:
        return {}
    plan = _plan(data)
    return {
        name: (plan.load(name, before), plan.load(name, after))
        for name, (before, after) in data["changes"].items()
        if name in plan.names
    }


def _signal(receiver: Receiver, name: str) -> Signal | None:
    for binding in registry.bindings():
        if binding.receiver is receiver and signal_name(binding.signal) == name:
            return binding.signal
    # The receiver listened to it when the event was emitted, and no longer does.
    return None


def _sender(dumped: Mapping[str, Any] | None) -> Any:
    if dumped is None:
        return None
    if "model" in dumped:
        return apps.get_model(dumped["model"])
    if "class" in dumped:
        module, _, name = dumped["class"].rpartition(".")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            return dumped["class"]
    return load_value(dumped["value"])
