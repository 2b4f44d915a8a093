"""From envelopes to occurrences, a whole batch at a time: one query per referenced model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Model
from django.dispatch import Signal

from events.delivery.occurrence import DeliveredEvent, Occurrence
from events.delivery.versions import current, event_of, signal_of
from events.envelope import Envelope, decode
from events.registry import Receiver
from events.serializers import (
    REFERENCE,
    Reference,
    SnapshotPlan,
    fetch_references,
    load_value,
    plan_for,
    substitute,
)
from events.serializers.references import references_in

logger = logging.getLogger("events")

# By its label.
ModelOf = Callable[[str], type[Model]]


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


def correlation_of(item: Item) -> str:
    """ "" where the message doesn't tell: a large envelope is in the outbox alone, a broken one says nothing."""
    try:
        return decode(item.envelope).correlationid
    except ValueError:
        return ""


def occurrences(receiver: Receiver, name: str, items: Sequence[Item], using: str) -> list[Occurrence | Gone]:
    """In the order of `items`. `name`: the one the event lists the receiver under.

    Raises what decoding raises, for any of them: the chunk is then run one by one.
    """
    envelopes = [decode(item.envelope) for item in items]
    names = {envelope.data["signal"] for envelope in envelopes}
    signals = {each: signal_of(receiver, each) for each in names}
    # A chunk's events are of few models, and to look one up takes a microsecond.
    model_of = cache(apps.get_model)
    loaded = [_load(envelope, signals[envelope.data["signal"]], using, model_of) for envelope in envelopes]
    # What a model's own signal carries refers to no other row, as a rule: there is nothing to look for in it.
    refer = [_may_refer(item, envelope) for item, envelope in zip(items, envelopes, strict=True)]
    found = fetch_references([values for values, may in zip(loaded, refer, strict=True) if may])
    cases: list[Occurrence | Gone] = []
    for item, envelope, values, may in zip(items, envelopes, loaded, refer, strict=True):
        gone = _gone(values, found) if may else ()
        if gone and receiver.missing != "none":
            cases.append(Gone(rows=gone))
            continue
        arguments = substitute(values, found) if may else values
        cases.append(
            Occurrence(
                signal=signals[envelope.data["signal"]],
                sender=_sender(envelope.data["sender"], model_of),
                arguments=arguments,
                event=_event(name, item, envelope, arguments, using),
            )
        )
    return cases


def _may_refer(item: Item, envelope: Envelope) -> bool:
    # An older version of an event is raised by code that may bring rows of its own.
    return "instance" not in envelope.data or REFERENCE in item.envelope


def _load(envelope: Envelope, signal: Signal | None, using: str, model_of: ModelOf) -> dict[str, Any]:
    data = envelope.data
    values = {name: load_value(value) for name, value in data.get("args", {}).items()}
    if "instance" in data:
        values["instance"] = _plan(data, model_of).rebuild(data["instance"], using)
    event = event_of(signal, data["signal"])
    return values if event is None else current(event, values, envelope.schemaversion)


def _plan(data: Mapping[str, Any], model_of: ModelOf) -> SnapshotPlan:
    return plan_for(model_of(data["model"]))


def _gone(values: object, found: Mapping[Reference, Model | None]) -> tuple[Reference, ...]:
    return tuple(reference for reference in references_in(values) if found.get(reference) is None)


def _event(name: str, item: Item, envelope: Envelope, arguments: Any, using: str) -> DeliveredEvent:
    data = envelope.data
    changes, unfit = _changes(data)
    return DeliveredEvent(
        id=item.event_id,
        type=envelope.type,
        subject=envelope.subject or "",
        time=datetime.fromisoformat(envelope.time),
        correlation_id=item.event_id
        if envelope.correlationid == envelope.id
        else UUID(envelope.correlationid),
        causation_id=UUID(envelope.causationid) if envelope.causationid else None,
        receiver=name,
        attempt=item.attempt,
        version=envelope.schemaversion,
        traceparent=envelope.traceparent or None,
        changes=changes,
        withheld=(*data.get("withheld", ()), *unfit),
        using=using,
        _arguments=arguments,
    )


def _changes(data: Mapping[str, Any]) -> tuple[dict[str, tuple[Any, Any]], list[str]]:
    """And the fields that have had another type since, whose values no longer fit."""
    if "changes" not in data:
        return {}, []
    plan = _plan(data, apps.get_model)
    changes, unfit = {}, []
    for name, (before, after) in data["changes"].items():
        if name not in plan.names:
            continue
        try:
            changes[name] = (plan.load(name, before), plan.load(name, after))
        except Exception:
            # Any field's own code: as in the snapshot, which is rebuilt without it.
            logger.warning("events.withheld field=%s.%s", data["model"], name, exc_info=True)
            unfit.append(name)
    return changes, unfit


def _sender(dumped: Mapping[str, Any] | None, model_of: ModelOf) -> Any:
    if dumped is None:
        return None
    if "model" in dumped:
        return model_of(dumped["model"])
    if "class" in dumped:
        module, _, name = dumped["class"].rpartition(".")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            return dumped["class"]
    return load_value(dumped["value"])
