"""Type and subject of an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Field, Model
from django.db.models.signals import m2m_changed, post_delete
from django.dispatch import Signal
from django.utils.functional import LazyObject, empty

from events.serializers import plan_for

_M2M_VERBS = {"post_add": "added", "post_remove": "removed", "post_clear": "cleared"}


def framework_type(name: str) -> str:
    """django.core.signals.got_request_exception → django.got_request_exception"""
    return f"django.{name.rpartition('.')[2]}"


def model_type(signal: Signal, sender: Any, arguments: Mapping[str, Any]) -> str:
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


def first_subject(arguments: Mapping[str, Any]) -> str:
    """What a custom event is about: the last instance among its arguments (the object, after who did it)."""
    instances = [value for value in arguments.values() if isinstance(value, Model)]
    return subject_of(instances[-1]) if instances else ""


def settled(value: Any) -> Any:
    """What a lazy object stands for: `request.user` is the user."""
    if not isinstance(value, LazyObject):
        return value
    lazy: Any = value
    if lazy._wrapped is empty:
        lazy._setup()
    return settled(lazy._wrapped)
