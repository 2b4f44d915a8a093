"""What of a signal travels: its type, its subject, and its arguments as they are at this moment."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from django.core.signals import setting_changed
from django.db import connections
from django.db.models import Field, Model
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import Signal
from django.utils.functional import LazyObject, empty

from events import tracking
from events.exceptions import NotSerializable
from events.serializers import Json, SnapshotPlan, dump_value, is_sensitive, plan_for
from events.serializers.scalars import BIGGEST_INT
from events.signal_names import signal_name

logger = logging.getLogger("events")

# Arguments of Django's own signals that mean something in the sending process only.
PROCESS_BOUND = frozenset({"environ", "scope", "apps", "plan", "origin", "app_config", "stdout"})

# Types of most arguments of a model's own signals, which JSON has.
_PLAIN = frozenset({bool, type(None)})

_OF_A_ROW = (post_save, post_delete, m2m_changed)
# Names of what Django sends with an instance that is saved or deleted.
_SENT = frozenset({"created", "origin", "raw", "update_fields", "using"})
# Of values of any length.
_LONG = frozenset({str, bytes})

UNCAPTURED = "uncaptured"

_M2M_VERBS = {"post_add": "added", "post_remove": "removed", "post_clear": "cleared"}


class Captured(NamedTuple):
    type: str
    subject: str
    data: dict[str, Any]


class Capture(Protocol):
    """What of a signal travels, as it is at this moment."""

    @property
    def may_wait(self) -> bool:
        """Whether nothing can change it before it is read."""

    def size(self) -> int:
        """Characters and bytes it holds until then."""

    def read(self) -> Captured:
        """Raises `NotSerializable` for a custom signal's argument; Django's own signals never fail here."""


def capture(signal: Signal, sender: object, arguments: Mapping[str, Any]) -> Capture:
    """Of a model's row next to nothing is done until it is read: see docs/decisions/0018-written-later.md."""
    instance = arguments.get("instance")
    if isinstance(instance, Model) and signal in _OF_A_ROW:
        return _OfRow(signal, sender, instance, arguments)
    return _OfArguments(signal, sender, arguments)


class _OfArguments:
    may_wait = False

    def __init__(self, signal: Signal, sender: object, arguments: Mapping[str, Any]) -> None:
        self.signal, self.sender, self.arguments = signal, sender, arguments

    def size(self) -> int:
        return 0

    def read(self) -> Captured:
        name = signal_name(self.signal)
        kind = _framework_type(name) if _is_framework(name) else name
        frame = _frame(self.signal, self.sender, None, tuple(self.arguments.items()))
        return Captured(kind, _first_subject(self.arguments)[:200], frame.data | frame.at_home(()))


class _OfRow:
    """Of a signal about a row: its instance's values, and the other arguments."""

    __slots__ = ("arguments", "changes", "created", "held", "may_wait", "pk", "plan", "sender", "signal")

    def __init__(self, signal: Signal, sender: object, instance: Model, arguments: Mapping[str, Any]) -> None:
        self.signal, self.sender = signal, sender
        self.arguments = rest = dict(arguments)
        del rest["instance"]
        if "origin" in rest:
            # Of a deletion: a query that holds as many rows as it found.
            rest["origin"] = None
        self.created = created = bool(rest.get("created"))
        self.plan = plan = plan_for(type(instance))
        self.held = plan.hold(instance, created=created)
        self.pk = settled(instance).pk
        # Tracking settles what is loaded, so it is asked once per save, here.
        self.changes = (
            tracking.changes(instance, created=created, saved=rest.get("update_fields"))
            if signal is post_save
            else {}
        )
        self.may_wait = (
            plan.is_fixed(self.held)
            # Whoever sends such a signal by hand is told at once of what is wrong with it.
            and sender is type(instance)
            and _is_simple(self.pk)
            and _are_djangos(rest)
            and (not self.changes or plan.is_fixed(self._changed()))
        )

    def _changed(self) -> Iterable[Any]:
        return chain.from_iterable(self.changes.values())

    def size(self) -> int:
        values = chain(self.held, self._changed()) if self.changes else self.held
        return sum([len(value) for value in values if value.__class__ in _LONG])

    def read(self) -> Captured:
        framed = _frame_once if self.may_wait else _frame
        frame = framed(self.signal, self.sender, self.plan.model, tuple(self.arguments.items()))
        snapshot = self.plan.encoded(self.held, created=self.created)
        data = {**frame.data, "instance": snapshot.data}
        changes, left_out = _dump_changes(self.plan, self.changes) if self.changes else ({}, [])
        if changes:
            data["changes"] = changes
        data |= frame.at_home((*snapshot.withheld, *left_out))
        kind = _model_type(self.signal, self.sender, self.arguments)
        return Captured(kind, self.plan.subject(self.pk)[:200], data)


def _is_simple(key: object) -> bool:
    """Whether a subject can be made of it, whatever it holds."""
    kind = type(key)
    if kind is int:
        return -BIGGEST_INT <= key <= BIGGEST_INT  # type: ignore[operator]
    return kind is UUID or (kind is str and key.isascii())  # type: ignore[attr-defined]


def _are_djangos(arguments: Mapping[str, Any]) -> bool:
    """Whether these are what Django sends along with a row that is saved or deleted: short, and not to be changed."""
    fields, using = arguments.get("update_fields"), arguments.get("using")
    return (
        _SENT.issuperset(arguments)
        and type(arguments.get("created", False)) is bool
        and type(arguments.get("raw", False)) is bool
        and type(using) is str
        and using in connections.settings
        and (fields is None or (type(fields) is frozenset and all(map(_is_name, fields))))
    )


def _is_name(name: object) -> bool:
    return type(name) is str and name.isascii()


class _Frame(NamedTuple):
    """What events of the same signal, sender and arguments have in common, whatever their instance."""

    data: dict[str, Any]
    left_out: list[str]
    failed: list[str]

    def at_home(self, withheld: Sequence[str]) -> dict[str, list[str]]:
        """What doesn't travel: of these, and `withheld` of the instance."""
        said = {}
        if withheld or self.left_out or self.failed:
            withheld = tuple(dict.fromkeys(withheld))
            said["withheld"] = [*withheld, *self.left_out, *self.failed]
        if withheld or self.failed:
            # What should have travelled: counted by events.operations.uncaptured.
            said[UNCAPTURED] = [*withheld, *self.failed]
        return said


def _frame(
    signal: Signal, sender: object, model: type[Model] | None, arguments: tuple[tuple[str, Any], ...]
) -> _Frame:
    name = signal_name(signal)
    dumped, left_out, failed = _dump_arguments(dict(arguments), lenient=_is_framework(name))
    data: dict[str, Any] = {"signal": name, "sender": dump_sender(sender)}
    if model is not None:
        data["model"] = model._meta.label
    data["args"] = dumped
    return _Frame(data, left_out, failed)


# For Django's own arguments: of those that are equal, each is the same as the others, as 1 is not the same as True.
_frame_once = lru_cache(maxsize=1024)(_frame)


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "EVENTS":
        _frame_once.cache_clear()


setting_changed.connect(_forget, dispatch_uid="events.capture")


def _dump_changes(
    plan: SnapshotPlan, changes: Mapping[str, tuple[Any, Any]]
) -> tuple[dict[str, list[Json]], list[str]]:
    dumped, left_out = {}, []
    for name, pair in changes.items():
        try:
            dumped[name] = [plan.dump(name, value) for value in pair]
        except NotSerializable as error:
            logger.warning("events.withheld field=%s reason=%s", name, error)
            left_out.append(name)
    return dumped, left_out


def _model_type(signal: Signal, sender: Any, arguments: Mapping[str, Any]) -> str:
    if signal is m2m_changed:
        model, field = m2m_field(sender)
        return f"{model}.{field}.{_M2M_VERBS[arguments['action']]}"
    label: str = sender._meta.label_lower
    if signal is post_delete:
        return f"{label}.deleted"
    return f"{label}.created" if arguments.get("created") else f"{label}.updated"


def m2m_field(through: type) -> tuple[str, str]:
    """The model and name of the many-to-many field behind a `through` model."""
    for field in through._meta.get_fields():  # type: ignore[attr-defined]
        related = getattr(field, "related_model", None)
        if isinstance(field, Field) and isinstance(related, type):
            for many in related._meta.local_many_to_many:  # type: ignore[attr-defined]
                if many.remote_field.through is through:
                    return related._meta.label_lower, many.name  # type: ignore[attr-defined]
    return through._meta.label_lower, "rows"  # type: ignore[attr-defined]


def subject_of(instance: Model) -> str:
    instance = settled(instance)
    return plan_for(type(instance)).subject(instance.pk)


def _first_subject(arguments: Mapping[str, Any]) -> str:
    """What a custom event is about: the last instance among its arguments (the object, after who did it)."""
    instances = [value for value in arguments.values() if isinstance(value, Model)]
    return subject_of(instances[-1]) if instances else ""


def _dump_arguments(
    arguments: Mapping[str, Any], *, lenient: bool
) -> tuple[dict[str, Any], list[str], list[str]]:
    """What travels; what stays at home, as it should; what could not be captured."""
    dumped, left_out, failed = {}, [], []
    for name, value in arguments.items():
        if is_sensitive(name) or (lenient and name in PROCESS_BOUND):
            left_out.append(name)
            continue
        if type(value) in _PLAIN:
            dumped[name] = value
            continue
        try:
            dumped[name] = dump_value(settled(value), path=name)
        except Exception as error:
            if not lenient:
                raise
            # Whatever it is: a login must not fail because of us.
            logger.warning("events.withheld argument=%s reason=%s", name, error)
            failed.append(name)
    return dumped, left_out, failed


def settled(value: Any) -> Any:
    """What a lazy object stands for: `request.user` is the user."""
    if not isinstance(value, LazyObject):
        return value
    lazy: Any = value
    if lazy._wrapped is empty:
        lazy._setup()
    return settled(lazy._wrapped)


def _is_framework(name: str) -> bool:
    return name.startswith("django.")


def _framework_type(name: str) -> str:
    """django.core.signals.got_request_exception → django.got_request_exception"""
    return f"django.{name.rpartition('.')[2]}"


def dump_sender(sender: object) -> Any:
    """A model or class by name, a string as it is; any other object means nothing on a worker."""
    if isinstance(sender, type):
        model = getattr(sender, "_meta", None)
        if model is not None and issubclass(sender, Model):
            return {"model": model.label}
        return {"class": f"{sender.__module__}.{sender.__qualname__}"}
    if isinstance(sender, Model):
        return {"value": dump_value(sender, path="sender")}
    return {"value": sender} if isinstance(sender, str) else None
