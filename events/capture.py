"""What of a signal travels: its type, its subject, and its arguments as they are at this moment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import Field, Model
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import Signal
from django.utils.functional import LazyObject, empty

from events import tracking
from events.exceptions import NotSerializable
from events.serializers import Json, SnapshotPlan, dump_value, is_sensitive, plan_for
from events.signal_names import signal_name

logger = logging.getLogger("events")

# Arguments of Django's own signals that mean something in the sending process only.
PROCESS_BOUND = frozenset({"environ", "scope", "apps", "plan", "origin", "app_config", "stdout"})

# Types of most arguments of a model's own signals, which JSON has.
_PLAIN = frozenset({bool, type(None)})

UNCAPTURED = "uncaptured"

_M2M_VERBS = {"post_add": "added", "post_remove": "removed", "post_clear": "cleared"}


class Captured(NamedTuple):
    type: str
    subject: str
    data: dict[str, Any]


def capture(signal: Signal, sender: object, arguments: Mapping[str, Any]) -> Captured:
    """Raises `NotSerializable` for a custom signal's argument; Django's own signals never fail here."""
    name = signal_name(signal)
    data: dict[str, Any] = {"signal": name, "sender": dump_sender(sender)}
    instance = arguments.get("instance")
    if isinstance(instance, Model) and signal in (post_save, post_delete, m2m_changed):
        arguments = {k: v for k, v in arguments.items() if k != "instance"}
        withheld = _capture_instance(data, signal, instance, arguments)
        kind = _model_type(signal, sender, arguments)
        subject = subject_of(instance)
    else:
        withheld = ()
        kind = _framework_type(name) if _is_framework(name) else name
        subject = _first_subject(arguments)
    data["args"], left_out, failed = _dump_arguments(arguments, lenient=_is_framework(name))
    if withheld or left_out or failed:
        data["withheld"] = [*withheld, *left_out, *failed]
    if withheld or failed:
        # What should have travelled: counted by events.operations.uncaptured.
        data[UNCAPTURED] = [*withheld, *failed]
    return Captured(kind, subject[:200], data)


def _capture_instance(
    data: dict[str, Any], signal: Signal, instance: Model, arguments: Mapping[str, Any]
) -> tuple[str, ...]:
    created = bool(arguments.get("created"))
    plan = plan_for(type(instance))
    snapshot = plan.take(instance, created=created)
    data["instance"] = snapshot.data
    data["model"] = instance._meta.label
    if signal is not post_save:
        return snapshot.withheld
    # Tracking settles what is loaded, so it is asked once per save, here.
    changes = tracking.changes(instance, created=created, saved=arguments.get("update_fields"))
    dumped, left_out = _dump_changes(plan, changes)
    if dumped:
        data["changes"] = dumped
    return tuple(dict.fromkeys((*snapshot.withheld, *left_out)))


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
    """`library.book/42`; without the key where the key itself is sensitive."""
    instance = settled(instance)
    plan, pk = plan_for(type(instance)), instance.pk
    if pk is None or plan.hides_key:
        return plan.label
    return f"{plan.label}/{','.join(map(str, pk)) if isinstance(pk, tuple) else pk}"


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
