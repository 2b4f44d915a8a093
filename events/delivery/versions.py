"""Events that were emitted by another version of the code: older ones are raised, newer ones wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from django.apps import apps
from django.db.models import Model
from django.dispatch import Signal

from events.registry import Receiver, registry
from events.serializers import Reference, references_in, substitute
from events.serializers.references import key_fields
from events.signal_names import signal_name
from events.signals import Event, declared


def signal_of(receiver: Receiver, name: str) -> Signal | None:
    """None where the receiver listened to it when the event was emitted, and no longer does."""
    for binding in registry.bindings():
        if binding.receiver is receiver and signal_name(binding.signal) == name:
            return binding.signal
    return None


def event_of(signal: Signal | None, name: str) -> Event[Any] | None:
    """The declaration as this code has it; None for any other signal."""
    return signal if isinstance(signal, Event) else declared(name)


def current(event: Event[Any], fields: Mapping[str, Any], version: int) -> dict[str, Any]:
    """What `event.current` makes of `fields`, whose instances are references before and after."""
    if version >= event.version:
        return event.current(dict(fields), version)
    stubs: dict[Reference, Any] = {reference: _stub(reference) for reference in references_in(fields)}
    raised: dict[str, Any] = _referenced(event.current(substitute(dict(fields), stubs), version))
    return raised


def _stub(reference: Reference) -> Model | Reference:
    try:
        model: type[Model] = apps.get_model(reference.model)
    except LookupError:
        return reference
    names = [field.attname for field in key_fields(model)]
    key = dict(zip(names, reference.pk if len(names) > 1 else [reference.pk], strict=True))
    # In the model's own order, which a composite key may not keep.
    held = [field.attname for field in model._meta.concrete_fields if field.attname in key]
    return model.from_db(reference.using, held, [key[name] for name in held])


def _referenced(value: Any) -> Any:
    """`value` with each instance replaced by its reference, deep inside lists, tuples, sets and dicts."""
    if isinstance(value, Model):
        return Reference.to(value)
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return kind(_referenced(item) for item in value)
    if kind is dict:
        return {_referenced(key): _referenced(item) for key, item in value.items()}
    return value


class _Data(msgspec.Struct):
    signal: str = ""


class _Head(msgspec.Struct):
    """As much of an envelope as says which version of what it is."""

    data: _Data
    schemaversion: int = 1


_heads = msgspec.json.Decoder(_Head)
_VERSION = '"schemaversion":'
_FIRST = f"{_VERSION}1,"


def beyond(receiver: Receiver, envelope: str) -> str:
    """What this code lacks to run it: "" unless it knows the event in an older version only."""
    # Nearly everything is of the first version, which nothing is older than. The first time that an envelope says
    # this, it says it of itself: its data, which may hold any key, comes last.
    if envelope.startswith(_FIRST, envelope.find(_VERSION)):
        return ""
    head = _head(envelope)
    if head is None or head.schemaversion <= 1:
        return ""
    event = event_of(signal_of(receiver, head.data.signal), head.data.signal)
    if event is None or head.schemaversion <= event.version:
        return ""
    return f"version {head.schemaversion} of the event {event.name!r} (it has {event.version})"


def _head(envelope: str) -> _Head | None:
    try:
        return _heads.decode(envelope)
    except ValueError:
        # Gone from the outbox, or blanked: the claim says so.
        return None
