from __future__ import annotations

import re
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

from events.asyncapi.schemas import Schema, of_hint, of_model
from events.catalog import Entry, catalog
from events.conf import settings
from events.flow import collect
from events.flow.in_process import declared_events
from events.registry import registry
from events.signals import Event

VERSION = "3.0.0"
_CLOUD_EVENT = "application/cloudevents+json"
_ID: Schema = {"type": "string", "format": "uuid"}
_TEXT: Schema = {"type": "string"}

# CloudEvents 1.0, and the extensions of it that ours have.
_ENVELOPE: Schema = {
    "type": "object",
    "required": [
        *("specversion", "id", "source", "type", "time", "datacontenttype"),
        *("schemaversion", "correlationid", "data"),
    ],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {**_ID, "description": "a UUIDv7: it grows with time"},
        "source": _TEXT,
        "type": _TEXT,
        "subject": {**_TEXT, "description": "what it is about: library.book/42"},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "schemaversion": {"type": "integer", "minimum": 1},
        "correlationid": {**_ID, "description": "all that one beginning has caused shares it"},
        "causationid": {**_ID, "description": "the event whose receiver emitted this one"},
        "traceparent": {**_TEXT, "description": "W3C Trace Context"},
        "data": {"type": "object"},
    },
}


def document() -> dict[str, Any]:
    """Of the code as it is: the same for each run of it."""
    entries = catalog()
    return {
        "asyncapi": VERSION,
        "info": {
            "title": f"Events of {settings.SOURCE}",
            "version": "1",
            "description": "Each message is a Celery task of its receiver's name, on the receiver's queue. "
            "Its arguments are one or more envelopes, each one JSON text.",
        },
        "defaultContentType": _CLOUD_EVENT,
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": {_key(entry.type): _message(entry) for entry in entries},
            "schemas": {"envelope": _ENVELOPE},
        },
    }


def _key(name: str) -> str:
    """A name that AsyncAPI takes for a key."""
    return re.sub(r"[^\w.\-]", "_", name.replace("*", "any"))


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(path)}


def _types_by_queue() -> dict[str, dict[str, set[str]]]:
    """Queue → receiver → types of the events it gets."""
    found: dict[str, dict[str, set[str]]] = {}
    for route in collect().routes:
        if route.queue:
            found.setdefault(route.queue, {}).setdefault(route.receiver, set()).update(route.types)
    return found


def _channels() -> dict[str, Any]:
    return {
        _key(queue): {
            "address": queue,
            "messages": {
                _key(kind): _ref("components", "messages", _key(kind))
                for kind in sorted(set().union(*receivers.values()))
            },
        }
        for queue, receivers in sorted(_types_by_queue().items())
    }


def _operations() -> dict[str, Any]:
    """What each receiver takes from its queue."""
    found: dict[str, Any] = {}
    for queue, receivers in _types_by_queue().items():
        for name, kinds in receivers.items():
            effect = registry.get(name).effect()
            found[_key(name)] = {
                "action": "receive",
                "channel": _ref("channels", _key(queue)),
                **({"summary": effect} if effect else {}),
                "messages": [_ref("channels", _key(queue), "messages", _key(kind)) for kind in sorted(kinds)],
            }
    return dict(sorted(found.items()))


def _message(entry: Entry) -> dict[str, Any]:
    type_: Schema = {"const": entry.type}
    if "*" in entry.type:
        type_ = {"type": "string", "pattern": f"^{'.+'.join(map(re.escape, entry.type.split('*')))}$"}
    words = {"summary": entry.description.partition("\n")[0]} if entry.description else {}
    if "\n" in entry.description:
        words["description"] = entry.description
    return {
        "name": entry.type,
        **words,
        "contentType": _CLOUD_EVENT,
        "payload": {
            "allOf": [
                _ref("components", "schemas", "envelope"),
                {"properties": {"type": type_, "data": _data(entry)}},
            ]
        },
    }


def _data(entry: Entry) -> Schema:
    base: Schema = {"signal": _TEXT, "sender": {}}
    event = next((each for each in declared_events() if each.name == entry.type), None) or _bound(entry.type)
    if event is not None:
        return {"type": "object", "required": ["args"], "properties": {**base, "args": _arguments(event)}}
    models = _models(entry.type)
    if not models:
        return {"type": "object", "properties": {**base, "args": {"type": "object"}}}
    snapshots = [of_model(model) for model in models]
    instance = snapshots[0] if len(snapshots) == 1 else {"anyOf": snapshots}
    changes = {
        "type": "object",
        "description": "column → what it was before, what it is now",
        "additionalProperties": {"type": "array", "minItems": 2, "maxItems": 2},
    }
    return {
        "type": "object",
        "required": ["instance", "model", "args"],
        "properties": {
            **base,
            "model": _TEXT,
            "instance": instance,
            "changes": changes,
            "args": {"type": "object"},
        },
    }


def _bound(kind: str) -> Event[Any] | None:
    """An event that no `signals` module declares, and that somebody listens to even so."""
    signals = [binding.signal for binding in registry.bindings()]
    return next((each for each in signals if isinstance(each, Event) and each.name == kind), None)


def _arguments(event: Event[Any]) -> Schema:
    """An event without declared fields takes anything."""
    required = [name for name in event.fields if name not in event.optional]
    return {
        "type": "object",
        "properties": {name: of_hint(hint) for name, hint in event.fields.items()},
        **({"required": required} if required else {}),
    }


def _models(kind: str) -> list[type[Model]]:
    """Whose snapshot an event of this type carries: of a many-to-many field, either side's."""
    stem = kind.rpartition(".")[0]
    try:
        return [apps.get_model(stem)]
    except (LookupError, ValueError):
        pass
    label, _, name = stem.rpartition(".")
    try:
        model = apps.get_model(label)
        field: Any = model._meta.get_field(name)
    except (LookupError, ValueError, FieldDoesNotExist):
        return []
    return list(dict.fromkeys([model, field.related_model]))
