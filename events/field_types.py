"""Whether a value is what an event's field was declared to hold."""

from __future__ import annotations

import types
import typing
from typing import Any


def matches(value: object, hint: Any) -> bool:
    """Whether `value` is of the annotated type: generic arguments are not looked into."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(matches(value, option) for option in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is typing.Annotated:
        return matches(value, arguments[0])
    if hint is None:
        return value is None
    kind = origin or hint
    if kind in (int, float):
        # An int will do for a float, as type checkers have it; a bool is neither here.
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    # What is no class (a TypeVar, a NewType) says nothing about the value.
    return kind is Any or not isinstance(kind, type) or _is_instance(value, kind)


def _is_instance(value: object, kind: type) -> bool:
    try:
        return isinstance(value, kind)
    except TypeError:
        # A TypedDict, or a Protocol that is not for run time: type checkers look into it.
        return True


def shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
