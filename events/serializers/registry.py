"""Serializers that a project adds for its own value types and model fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from events.exceptions import EventsError
from events.serializers.json_type import Json


class InvalidSerializer(EventsError, ValueError):
    """`register_serializer` was given no class, or one or a name that another serializer has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serializer:
    type: type
    name: str
    dump: Callable[[Any], Json]
    load: Callable[[Any], Any]


class Serializers:
    def __init__(self) -> None:
        self._by_type: dict[type, Serializer] = {}
        self._by_name: dict[str, Serializer] = {}
        self._taken_types: set[type] = set()
        self._taken_names: set[str] = set()
        self._listeners: list[Callable[[], None]] = []

    def reserve(self, types: set[type], names: set[str]) -> None:
        """What the bus carries by itself."""
        self._taken_types |= types
        self._taken_names |= names

    def on_change(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def add(self, serializer: Serializer) -> None:
        if not isinstance(serializer.type, type):
            raise InvalidSerializer(
                f"register_serializer({serializer.type!r}, …): give it the class itself, not its name or an instance."
            )
        self._refuse_doubles(serializer)
        self._by_type[serializer.type] = serializer
        self._by_name[serializer.name] = serializer
        self._announce()

    def _refuse_doubles(self, new: Serializer) -> None:
        if new.type in self._taken_types or new.name in self._taken_names:
            what = f"type {new.type.__qualname__}" if new.type in self._taken_types else f"name {new.name!r}"
            raise InvalidSerializer(f"The {what} is one the bus serializes by itself: it can't be replaced.")
        old = self._by_type.get(new.type) or self._by_name.get(new.name)
        if old is not None:
            raise InvalidSerializer(
                f"register_serializer({new.type.__qualname__}, name={new.name!r}): "
                f"{old.type.__module__}.{old.type.__qualname__} is registered as {old.name!r} already. "
                f"Each type and each name has one serializer: remove one of the two calls, or rename it."
            )

    def remove(self, type_: type) -> None:
        """For tests: the type has no serializer any more."""
        del self._by_name[self._by_type.pop(type_).name]
        self._announce()

    def _announce(self) -> None:
        for listener in self._listeners:
            listener()

    def for_type(self, type_: type) -> Serializer | None:
        """That of the type itself or of its nearest registered base."""
        found = (self._by_type.get(base) for base in type_.__mro__)
        return next((serializer for serializer in found if serializer is not None), None)

    def for_name(self, name: str) -> Serializer | None:
        return self._by_name.get(name)


serializers = Serializers()


def register_serializer(
    type_: type, *, name: str, dump: Callable[[Any], Json], load: Callable[[Any], Any]
) -> None:
    """Let values of `type_` (and of its subclasses without one of their own) travel in events.

    `dump` turns a value into what JSON can hold, `load` turns that back; `name` marks it in the envelope, so
    it must stay the same as long as events of it exist. Call it where web process and workers both run
    it, such as `AppConfig.ready`. A model field class may be given too: its values then are safe to send.
    """
    serializers.add(Serializer(type=type_, name=name, dump=dump, load=load))
