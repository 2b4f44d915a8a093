"""A signal's arguments as JSON, and back, with their types."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, cast

from django.db.models import Model
from django.http import HttpRequest
from django.utils.functional import Promise

from events.exceptions import NotSerializable
from events.serializers import leaves
from events.serializers.json_type import Json
from events.serializers.leaves import TAG, Dump, Form
from events.serializers.references import Reference
from events.serializers.registry import serializers
from events.serializers.sensitive import is_sensitive_key


def dump_value(value: object, *, path: str) -> Json:
    """What `load_value` turns back into an equal value of the same type.

    Model instances become references, requests a `RequestInfo`, lazy texts texts; what sits in a dict under a
    key that looks like a secret's name is left out. Raises `NotSerializable` naming `path`, the argument.
    """
    try:
        return _dump(value, path)
    except RecursionError:
        raise NotSerializable(
            f"argument {path!r} is nested too deeply, or contains itself: send a flat value."
        ) from None


def load_value(obj: Json) -> object:
    """The value that `dump_value` was given; instances come as `Reference`, to be fetched in one go."""
    if isinstance(obj, list):
        return [load_value(item) for item in obj]
    if not isinstance(obj, dict):
        return obj
    if TAG not in obj:
        return {key: load_value(item) for key, item in obj.items()}
    return _load_tagged(str(obj[TAG]), obj)


def _dump(value: Any, path: str) -> Json:
    dump = _DUMPERS.get(type(value))
    return dump(value, path) if dump is not None else _dump_by_kind(value, path)


def _dump_by_kind(value: Any, path: str) -> Json:
    serializer = serializers.for_type(type(value))
    if serializer is not None:
        return {TAG: serializer.name, "v": serializer.dump(value)}
    for kind, dump in _KINDS:
        if isinstance(value, kind):
            return dump(value, path)
    raise leaves.refusal(value, path)


def _as_is(value: Any, path: str) -> Json:
    return cast("Json", value)


def _dump_list(value: Any, path: str) -> list[Json]:
    return [_dump(item, f"{path}[{index}]") for index, item in enumerate(value)]


def _collection(tag: str) -> Dump:
    def dump(value: Any, path: str) -> Json:
        return {TAG: tag, "v": _dump_list(value, path)}

    return dump


def _dump_dict(value: dict[Any, Any], path: str) -> Json:
    kept = {key: item for key, item in value.items() if not is_sensitive_key(key)}
    if TAG not in kept and all(_is_plain_key(key) for key in kept):
        return {key: _dump(item, _inside(path, key)) for key, item in kept.items()}
    # A list of pairs: the only form in which a key may be of any type.
    pairs: list[Json] = [
        [_dump(key, f"{path} key"), _dump(item, _inside(path, key))] for key, item in kept.items()
    ]
    return {TAG: "dict", "v": pairs}


def _is_plain_key(key: object) -> bool:
    return type(key) is str and (key.isascii() or leaves.dump_text(key, "") is key)


def _inside(path: str, key: object) -> str:
    return f"{path}.{key}" if isinstance(key, str) and key.isidentifier() else f"{path}[{key!r}]"


# How a reference begins in an envelope's text, and nothing else does: within a text the quotes are escaped.
REFERENCE = f'"{TAG}":"ref"'


def _dump_reference(value: Reference, path: str) -> Json:
    return {TAG: "ref", "model": value.model, "pk": _dump(value.pk, f"{path}.pk"), "using": value.using}


def _dump_instance(value: Model, path: str) -> Json:
    try:
        reference = Reference.to(value)
    except NotSerializable as error:
        raise NotSerializable(f"argument {path!r}: {error}") from None
    return _dump_reference(reference, path)


def _load_reference(form: Form) -> Reference:
    return Reference(model=form["model"], pk=load_value(form["pk"]), using=form["using"])


def _load_items(form: Form) -> list[Any]:
    return [load_value(item) for item in form["v"]]


def _load_tagged(tag: str, form: Form) -> object:
    load = _LOADERS.get(tag)
    if load is not None:
        return load(form)
    serializer = serializers.for_name(tag)
    if serializer is None:
        raise NotSerializable(
            f"The event holds a value of the type registered as {tag!r}, which this process doesn't know: "
            f"events.register_serializer(…, name={tag!r}, …) must run on the workers too."
        )
    return serializer.load(form["v"])


_DUMPERS: dict[type, Dump] = {
    **leaves.DUMPERS,
    type(None): _as_is,
    bool: _as_is,
    list: cast("Dump", _dump_list),
    dict: _dump_dict,
    tuple: _collection("tuple"),
    set: _collection("set"),
    frozenset: _collection("frozenset"),
    Reference: _dump_reference,
}

# For what has no exact entry above, in this order: an Enum may be a str, a lazy text may be anything.
_KINDS: tuple[tuple[type, Dump], ...] = (
    (Promise, leaves.dump_lazy_text),
    (Enum, leaves.dump_enum),
    (type, leaves.dump_class),
    (Model, _dump_instance),
    (HttpRequest, leaves.dump_request),
)

_LOADERS: dict[str, Callable[[Form], object]] = {
    **leaves.LOADERS,
    "dict": lambda form: {load_value(key): load_value(item) for key, item in form["v"]},
    "tuple": lambda form: tuple(_load_items(form)),
    "set": lambda form: set(_load_items(form)),
    "frozenset": lambda form: frozenset(_load_items(form)),
    "ref": _load_reference,
}

serializers.reserve(types={*_DUMPERS, Model, HttpRequest, Enum, object, type}, names=set(_LOADERS))
