"""Declared domain events: signals with a name, a version and typed fields."""

from __future__ import annotations

import copy
import inspect
import typing
import weakref
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, cast

from django.apps import apps
from django.dispatch import Signal

from events.exceptions import InvalidEvent
from events.field_types import matches, shown
from events.serializers import is_sensitive
from events.upcasting import Fields, U, Upcasters

P = ParamSpec("P")

# Characters of a type, as the outbox holds it.
_NAME = 200

# Arguments of every signal: the sender, and the database alias whose transaction the event belongs to.
_RESERVED = frozenset({"sender", "signal", "using", "event"})


# The declaration of each name; the latest, where tests declare one again.
_named: weakref.WeakValueDictionary[str, Event[Any]] = weakref.WeakValueDictionary()


def declared(name: str) -> Event[Any] | None:
    """The event called `name`, if this process has imported its declaration."""
    return _named.get(name)


class Event(Signal, Generic[P]):
    """A domain event: `send` checks its fields where it is called.

    `Event()` alone is a plain `Signal` in every respect. Fields are given by keyword, or as a dict in
    `fields` where a name is taken (`Event("a.b", fields={"version": int})`).
    Raises `InvalidEvent` for a field that is named like a secret or like an argument of every signal.
    """

    def __init__(
        # Type checkers know the fields of an `@event` function only; this form is checked when it is sent.
        self: Event[...],
        name: str | None = None,
        /,
        *,
        version: int = 1,
        use_caching: bool = False,
        fields: dict[str, Any] | None = None,
        **named_fields: Any,
    ) -> None:
        super().__init__(use_caching)
        _check_declaration(name, version, use_caching)
        self.name = name
        self.version = version
        # Field → default, of those that may be left out.
        self.defaults: dict[str, Any] = {}
        # None: undeclared, takes anything.
        declared = {**(fields or {}), **named_fields}
        self._fields: dict[str, Any] | None = declared if name or declared else None
        self._function: Callable[..., Any] | None = None
        self._resolved = False
        self._upcasters = Upcasters(repr(self), version)
        self._check_names()
        if name:
            _named[name] = self

    @classmethod
    def declared_by(cls, function: Callable[P, None], name: str, version: int, use_caching: bool) -> Event[P]:
        parameters = inspect.signature(function).parameters
        if any(p.kind is not p.KEYWORD_ONLY for p in parameters.values()):
            raise InvalidEvent(
                f"{function.__qualname__}: fields are given by name. Put * first: def {function.__name__}(*, …)."
            )
        made: Any = cls(name, version=version, use_caching=use_caching, fields=dict.fromkeys(parameters, Any))
        made._function = function
        made.defaults = {n: p.default for n, p in parameters.items() if p.default is not p.empty}
        made.__doc__ = function.__doc__
        return cast("Event[P]", made)

    @property
    def optional(self) -> frozenset[str]:
        return frozenset(self.defaults)

    def upcast(self, version: int, /) -> Callable[[U], U]:
        """Decorate the function that turns the fields of `version` into those of the next: 1 → 2, 2 → 3, ….

        It runs on a worker, each time it reads an event that was emitted as that version. It is given a dict,
        field → value, which it may change, and returns one; after the last step the fields are checked like
        those of a `send`. Values are as they were sent. A model instance has its key loaded and nothing else:
        reading more of it is a query of its own. The instances that are returned are fetched afterwards, those
        of a whole batch in one query, so `Book(pk=fields.pop("book_id"))` is enough to return one. (A model
        that has been removed since comes as a reference, with `model` and `pk`, to be dropped or replaced.)
        What it raises fails the delivery: it is tried again, and ends as a dead letter. So it should depend on
        nothing but the fields, and stay until no event of `version` is left.

        Raises `InvalidEvent` at import for a version that isn't an older one, and for a second function.
        """

        def register(function: U) -> U:
            self._upcasters.add(version, function)
            return function

        return register

    def versions_without_upcaster(self) -> list[int]:
        return self._upcasters.missing()

    def current(self, fields: Fields, version: int) -> Fields:
        """The fields of an event that was emitted as `version`, as this declaration has them.

        A field that it lacks and that has a default gets it. Raises `MissingUpcaster`, what an upcaster
        raises, and `InvalidEvent` where the upcasters' result doesn't fit the declaration.
        """
        if version < self.version:
            fields = self._upcasters.applied(fields, version)
            self._check_upcast(fields, version)
        absent = self.defaults.keys() - fields.keys()
        return (
            {**fields, **{field: copy.copy(self.defaults[field]) for field in absent}} if absent else fields
        )

    def _check_upcast(self, fields: Fields, version: int) -> None:
        if self._fields is None:
            return
        try:
            self._check(fields)
        except InvalidEvent as error:
            error.add_note(f"After the upcasters from version {version} to {self.version}.")
            raise

    @property
    def fields(self) -> dict[str, Any]:
        """Field names and types; read late, so that annotations may name models not loaded yet.

        Raises `InvalidEvent` for a type that can't be found.
        """
        if not self._resolved:
            names = self._fields or {}
            hints = names if self._function is None else self._annotations(self._function)
            self._fields = {field: self._type(field, hints.get(field, Any)) for field in names}
            self._resolved = True
        return self._fields or {}

    def _annotations(self, function: Callable[..., Any]) -> dict[str, Any]:
        try:
            return typing.get_type_hints(function)
        except NameError as error:
            raise InvalidEvent(
                f"{self}: the annotation {error.name!r} is not found in {function.__module__}. "
                f"Import it there at run time too, not under TYPE_CHECKING alone."
            ) from None

    def _type(self, field: str, hint: Any) -> Any:
        """A text names a model, as it does in a foreign key."""
        if not isinstance(hint, str):
            return hint
        try:
            return apps.get_model(hint)
        except (LookupError, ValueError):
            raise InvalidEvent(
                f"{self}: the type of {field!r}, {hint!r}, is no model. Give a class, or a model as 'app.Model'."
            ) from None

    # sender and using stand before the fields: typed calls name all of them.
    def send(
        self, sender: object = None, using: str | None = None, *args: P.args, **named: P.kwargs
    ) -> list[Any]:
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

    def _log_robust_failure(self, receiver: Any, err: Exception) -> None:
        # Django's log asks for a function's name; what the bus raises is raised again, so nobody need log it.
        if not _emits(receiver):
            super()._log_robust_failure(receiver, err)  # type: ignore[misc]

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
                    f"{self}: {field!r} must be {shown(fields[field])}, got {type(value).__name__} {value!r:.80}."
                )

    def _check_names(self) -> None:
        for field in self._fields or {}:
            if field in _RESERVED:
                raise InvalidEvent(
                    f"{self}: {field!r} is an argument of every signal; name the field otherwise."
                )
            if is_sensitive(field):
                raise InvalidEvent(
                    f"{self}: {field!r} is named like a secret, and secrets don't travel. "
                    f"Send a reference to the row that holds it, or name the field otherwise."
                )

    def __repr__(self) -> str:
        return f"<Event {self.name or hex(id(self))}>"


def event(
    name: str, /, *, version: int = 1, use_caching: bool = False
) -> Callable[[Callable[P, None]], Event[P]]:
    """Declare an event by a function's signature: its keyword-only parameters are the fields."""

    def declare(function: Callable[P, None]) -> Event[P]:
        return Event.declared_by(function, name, version, use_caching)

    return declare


def _insist(responses: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """A robust send swallows what a receiver raises; an event that couldn't be stored is the caller's to know."""
    for receiver, response in responses:
        if isinstance(response, Exception) and _emits(receiver):
            raise response
    return responses


def _emits(receiver: object) -> bool:
    # Asked of the object: this module can't import the bus, which imports models.
    return bool(getattr(receiver, "emits_events", False))


def _check_declaration(name: object, version: object, use_caching: object) -> None:
    if name is not None:
        if not isinstance(name, str) or not 0 < len(name) <= _NAME or len(name.split()) != 1:
            raise InvalidEvent(
                f"Event({name!r}): a name is a text of 1 to {_NAME} characters without spaces, "
                f"like 'app.what_happened'."
            )
        if name.startswith("django."):
            raise InvalidEvent(
                f"Event({name!r}): names that begin with 'django.' are those of Django's signals."
            )
    for option, value, kind in (("version", version, int), ("use_caching", use_caching, bool)):
        if type(value) is not kind:
            raise InvalidEvent(
                f"Event({name!r}): {option}={value!r} must be {kind.__name__}. "
                f"A field of that name is declared by fields={{{option!r}: …}}."
            )
    if isinstance(version, int) and version < 1:
        raise InvalidEvent(f"Event({name!r}): version={version}: versions are counted from 1.")


def _listed(fields: dict[str, Any]) -> str:
    return ", ".join(fields) or "none"
