"""What an envelope holds, as JSON Schema: of a declared field, and of a model's snapshot."""

from __future__ import annotations

import types
import typing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Model
from django.http import HttpRequest

from events.serializers import plan_for
from events.serializers.leaves import TAG

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object"}

# What travels as JSON has it, and the tags of what has a form of its own even so: a very long number, an enum.
_PLAIN: dict[type, tuple[Schema, tuple[str, ...]]] = {
    bool: ({"type": "boolean"}, ()),
    int: ({"type": "integer"}, ("int", "enum")),
    float: ({"type": "number"}, ("int", "float", "enum")),
    str: (_STRING, ("str", "safe", "enum")),
    list: ({"type": "array"}, ()),
    dict: (_OBJECT, ()),
}
_TAGGED: dict[type, str] = {
    bytes: "bytes",
    UUID: "uuid",
    Decimal: "decimal",
    datetime: "datetime",
    time: "time",
    timedelta: "timedelta",
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
    HttpRequest: "request",
}
_COLUMNS: dict[type, Schema] = {
    str: _STRING,
    bool: {"type": "boolean"},
    # Beyond what JSON libraries can read, as text.
    int: {"type": ["integer", "string"]},
    float: {"type": ["number", "string"]},
    Decimal: _STRING,
    UUID: {"type": "string", "format": "uuid"},
    date: {"type": "string", "format": "date"},
    time: _STRING,
    datetime: {"type": "string", "format": "date-time"},
    timedelta: {"type": "array", "items": {"type": "integer"}, "description": "days, seconds, microseconds"},
    bytes: {"type": "string", "contentEncoding": "base64"},
}


def of_hint(hint: Any) -> Schema:
    """Of a field declared with this type; anything, where the type says nothing about what travels."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [of_hint(option) for option in arguments]}
    if origin is typing.Annotated:
        return of_hint(arguments[0])
    if hint in (None, type(None)):
        return {"type": "null"}
    if origin is typing.Literal and all(type(value) in (str, int, bool) for value in arguments):
        return {"enum": list(arguments)}
    kind = origin or hint
    return _of_class(kind) if isinstance(kind, type) else {}


def _of_class(kind: type) -> Schema:
    if issubclass(kind, Model):
        return _reference(kind)
    if issubclass(kind, Enum):
        return _tagged("enum")
    if kind in _PLAIN:
        plain, tags = _PLAIN[kind]
        return {"anyOf": [plain, _tagged(*tags)]} if tags else plain
    if kind is date:
        # A moment is a day, too.
        return _tagged("date", "datetime")
    return _tagged(_TAGGED[kind]) if kind in _TAGGED else {}


def _tagged(*tags: str) -> Schema:
    return {"type": "object", "required": [TAG], "properties": {TAG: {"enum": list(tags)}}}


def _reference(model: type[Model]) -> Schema:
    """A row: the worker fetches it."""
    labels = sorted(each._meta.label_lower for each in apps.get_models() if issubclass(each, model))
    schema = _tagged("ref")
    schema["required"] = [TAG, "model", "pk", "using"]
    schema["properties"] |= {"model": {"enum": labels}, "pk": {}, "using": _STRING}
    return schema


def of_model(model: type[Model]) -> Schema:
    """Of a snapshot, by column: what could not be captured, or was not loaded, is absent."""
    columns = {name: _column(kind) for name, kind in sorted(plan_for(model).types().items())}
    return {"type": "object", "title": model._meta.label, "properties": columns}


def _column(kind: type) -> Schema:
    known = _COLUMNS.get(kind)
    return {"anyOf": [known, {"type": "null"}]} if known else {}
