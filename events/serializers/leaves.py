"""The tagged forms of single values: what JSON has no type for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from typing import Any, TypeAlias
from uuid import UUID

from django.apps import apps
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString

from events.exceptions import NotSerializable
from events.serializers import scalars
from events.serializers.json_type import Json
from events.serializers.paths import class_path, enum_class
from events.serializers.requests import RequestInfo

# A value that JSON has no type for is an object with this key, whose value names the type.
TAG = "$"

Dump: TypeAlias = Callable[[Any, str], Json]
Form: TypeAlias = dict[str, Any]


def refusal(value: object, path: str, why: str = "") -> NotSerializable:
    cls = type(value)
    name = f"{cls.__module__}.{cls.__qualname__}".removeprefix("builtins.")
    return NotSerializable(
        f"argument {path!r} of type {name} can't travel in an event{why}. Send plain values or a model "
        f"instance, or say how it becomes JSON: "
        f"events.register_serializer({cls.__name__}, name=…, dump=…, load=…)."
    )


def dump_int(value: int, path: str) -> Json:
    plain = scalars.dump_int(value)
    return plain if plain is value else {TAG: "int", "v": plain}


def dump_float(value: float, path: str) -> Json:
    plain = scalars.dump_float(value)
    return plain if plain is value else {TAG: "float", "v": plain}


def dump_text(value: str, path: str) -> Json:
    try:
        return scalars.dump_text(value)
    except UnicodeEncodeError:
        return {TAG: "str", "v": scalars.dump_bytes(value.encode("utf-8", "surrogatepass"))}


def load_text(form: Form | str) -> str:
    if isinstance(form, str):
        return form
    return scalars.load_bytes(form["v"]).decode("utf-8", "surrogatepass")


def dump_lazy_text(value: object, path: str) -> Json:
    return dump_text(str(value), path)


def _tagged(tag: str, dump: Callable[[Any], Json]) -> Dump:
    def tagged(value: Any, path: str) -> Json:
        return {TAG: tag, "v": dump(value)}

    return tagged


def _plain(load: Callable[[Any], object]) -> Callable[[Form], object]:
    return lambda form: load(form["v"])


def _dump_datetime(value: datetime, path: str) -> Json:
    return {TAG: "datetime", **scalars.dump_moment(value)}


def _dump_time(value: time, path: str) -> Json:
    return {TAG: "time", **scalars.dump_moment(value)}


def _dump_safe(value: SafeString, path: str) -> Json:
    return {TAG: "safe", "v": dump_text(scalars.plain_text(value), path)}


def _load_safe(form: Form) -> SafeString:
    return SafeString(load_text(form["v"]))


def dump_enum(value: Enum, path: str) -> Json:
    where = class_path(type(value))
    try:
        importable = enum_class(where) is type(value)
    except LookupError:
        importable = False
    if not importable:
        raise refusal(
            value, path, ", since a worker can't import it: define that Enum at the top of a module"
        )
    # By name, which is always a text; a combination of flags has none of its own.
    return {TAG: "enum", "type": where, "v": value.value if isinstance(value, Flag) else value.name}


def _load_enum(form: Form) -> Enum:
    cls = enum_class(form["type"])
    return cls(form["v"]) if issubclass(cls, Flag) else cls[form["v"]]


def dump_class(value: type, path: str) -> Json:
    if issubclass(value, Model) and not value._meta.abstract:
        return {TAG: "model", "v": value._meta.label_lower}
    raise refusal(value, path, f": it is the class {value.__qualname__}, and only concrete models can")


def dump_request(value: HttpRequest | RequestInfo, path: str) -> Json:
    info = value if isinstance(value, RequestInfo) else RequestInfo.of(value)
    return {TAG: "request", **info.dump()}


def _load_request(form: Form) -> RequestInfo:
    return RequestInfo(**{key: item for key, item in form.items() if key != TAG})


DUMPERS: dict[type, Dump] = {
    int: dump_int,
    float: dump_float,
    str: dump_text,
    bytes: _tagged("bytes", scalars.dump_bytes),
    UUID: _tagged("uuid", scalars.dump_uuid),
    Decimal: _tagged("decimal", scalars.dump_decimal),
    date: _tagged("date", scalars.dump_date),
    time: _dump_time,
    datetime: _dump_datetime,
    timedelta: _tagged("timedelta", scalars.dump_timedelta),
    SafeString: _dump_safe,
    RequestInfo: dump_request,
}

LOADERS: dict[str, Callable[[Form], object]] = {
    "int": _plain(scalars.load_int),
    "float": _plain(scalars.load_float),
    "str": load_text,
    "bytes": _plain(scalars.load_bytes),
    "uuid": _plain(scalars.load_uuid),
    "decimal": _plain(scalars.load_decimal),
    "date": _plain(scalars.load_date),
    "time": scalars.load_time,
    "datetime": scalars.load_datetime,
    "timedelta": _plain(scalars.load_timedelta),
    "safe": _load_safe,
    "enum": _load_enum,
    "model": _plain(apps.get_model),
    "request": _load_request,
}
