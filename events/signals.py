"""Declared domain events: signals with a name, a version and typed fields."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Generic, ParamSpec

from django.dispatch import Signal

from events.exceptions import InvalidEvent, NotSerializable
from events.serializers import is_sensitive

P = ParamSpec("P")

# Arguments of every signal: the sender, and the database alias whose transaction the event belongs to.
_RESERVED = frozenset({"sender", "signal", "using", "event"})


class Event(Signal, Generic[P]):
    """A domain event: `send` checks its fields where it is called.

    `Event()` alone is a plain `Signal` in every respect. Fields are given by keyword, or as a dict in
    `fields` where a name is taken (`Event("a.b", fields={"version": int})`).
    Raises `InvalidEvent` for a field that is named like a secret or like an argument of every signal.
    """

    def __init__(
        self,
        name: str | None = None,
        /,
        *,
        version: int = 1,
        use_caching: bool = False,
        fields: dict[str, Any] | None = None,
        **named_fields: Any,
    ) -> None:
        super().__init__(use_caching)
        self.name = name
        self.version = version
        self.optional: frozenset[str] = frozenset()
        # None: undeclared, takes anything.
        declared = {**(fields or {}), **named_fields}
        self._fields: dict[str, Any] | None = declared if name or declared else None
        self._function: Callable[..., Any] | None = None
        if name is not None:
            self._check_names()

    @classmethod
    def declared_by(cls, function: Callable[P, None], name: str, version: int, use_caching: bool) -> Event[P]:
        parameters = inspect.signature(function).parameters
        if any(p.kind is not p.KEYWORD_ONLY for p in parameters.values()):
            raise InvalidEvent(
                f"{function.__qualname__}: fields are given by name. Put * first: def {function.__name__}(*, …)."
            )
        made: Event[P] = cls(name, version=version, use_caching=use_caching, fields=dict.fromkeys(parameters, Any))
        made._function = function
        made.optional = frozenset(n for n, p in parameters.items() if p.default is not p.empty)
        made.__doc__ = function.__doc__
        return made

    @property
    def fields(self) -> dict[str, Any]:
        """Field names and types; read late, so that annotations may name models not loaded yet."""
        if self._function is not None:
            hints = typing.get_type_hints(self._function)
            self._fields = {field: hints.get(field, Any) for field in self._fields or {}}
            self._function = None
        return self._fields or {}

    # sender and using stand before the fields: typed calls name all of them.
    def send(self, sender: object = None, using: str | None = None, *args: P.args, **named: P.kwargs) -> list[Any]:
        return super().send(sender, **self._checked(using, args, named))

    async def asend(
        self, sender: object = None, using: str | None = None, *args: P.args, **named: P.kwargs
    ) -> list[Any]:
        return await super().asend(sender, **self._checked(using, args, named))

    def send_robust(
        self, sender: object = None, using: str | None = None, *args: P.args, **named: P.kwargs
    ) -> list[Any]:
        return _insist(super().send_robust(sender, **self._checked(using, args, named)))

    async def asend_robust(
        self, sender: object = None, using: str | None = None, *args: P.args, **named: P.kwargs
    ) -> list[Any]:
        return _insist(await super().asend_robust(sender, **self._checked(using, args, named)))

    def _checked(self, using: str | None, args: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        if args:
            raise InvalidEvent(f"{self}: fields are given by name: send(sender=…, field=…).")
        if self._fields is not None:
            self._check(named)
        return named if using is None else {**named, "using": using}

    def _check(self, named: dict[str, Any]) -> None:
        fields = self.fields
        if unknown := sorted(named.keys() - fields.keys()):
            raise InvalidEvent(f"{self} has no field {unknown[0]!r}; it has {_listed(fields)}.")
        if missing := sorted(fields.keys() - named.keys() - self.optional):
            raise InvalidEvent(f"{self} needs the field {missing[0]!r}: send(sender=…, {missing[0]}=…).")
        for field, value in named.items():
            if not matches(value, fields[field]):
                raise InvalidEvent(
                    f"{self}: {field!r} must be {_shown(fields[field])}, got {type(value).__name__} {value!r:.80}."
                )

    def _check_names(self) -> None:
        for field in self._fields or {}:
            if field in _RESERVED:
                raise InvalidEvent(f"{self}: {field!r} is an argument of every signal; name the field otherwise.")
            if is_sensitive(field):
                raise InvalidEvent(
                    f"{self}: {field!r} is named like a secret, and secrets don't travel. "
                    f"Send a reference to the row that holds it, or name the field otherwise."
                )

    def __repr__(self) -> str:
        return f"<Event {self.name or hex(id(self))}>"


def event(name: str, /, *, version: int = 1, use_caching: bool = False) -> Callable[[Callable[P, None]], Event[P]]:
    """Declare an event by a function's signature: its keyword-only parameters are the fields."""

    def declare(function: Callable[P, None]) -> Event[P]:
        return Event.declared_by(function, name, version, use_caching)

    return declare


def matches(value: object, hint: Any) -> bool:
    """Whether `value` is of the annotated type: generic arguments are not looked into."""
    if hint is Any or isinstance(hint, (str, typing.TypeVar)):
        return True
    if hint is None or hint is type(None):
        return value is None
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(matches(value, option) for option in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin is typing.Annotated:
        return matches(value, typing.get_args(hint)[0])
    kind = origin or hint
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(kind, type) or isinstance(value, kind)


def _insist(responses: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """A robust send swallows what a receiver raises; an event that couldn't be stored is the caller's to know."""
    for _, response in responses:
        if isinstance(response, NotSerializable):
            raise response
    return responses


def _listed(fields: dict[str, Any]) -> str:
    return ", ".join(fields) or "none"


def _shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
