"""Values before a save: remembered when a row is loaded, compared when it is saved."""

from __future__ import annotations

import copy
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Field, Model
from django.db.models.fields.files import FieldFile
from django.db.models.signals import post_init

from events.exceptions import InvalidOffload
from events.serializers import plan_for

_LOADED = "_events_loaded"
_ABSENT = object()

_tracked: dict[type[Model], tuple[str, ...]] = {}


def track(model: type[Model], names: tuple[str, ...]) -> None:
    """Remember these fields of every loaded `model`. Raises `InvalidOffload` for one it may not carry."""
    attnames = tuple(_attname(model, name) for name in names)
    _tracked[model] = tuple(dict.fromkeys((*_tracked.get(model, ()), *attnames)))
    post_init.connect(remember, sender=model, dispatch_uid="events.tracking")


def remember(instance: Model, **kwargs: Any) -> None:
    # from_db marks a row as loaded only after __init__, where this runs: one with a key is taken for
    # loaded, and changes() is told at the save whether it was created.
    if instance.__dict__.get(instance._meta.pk.attname) is not None:
        _keep(instance)


def _keep(instance: Model) -> None:
    values = instance.__dict__
    instance.__dict__[_LOADED] = {
        # An expression has no value before it is loaded again. A document could be changed in place: a copy stays.
        name: copy.deepcopy(_plain(values[name]))
        for name in _tracked[type(instance)]
        if name in values and not _is_expression(values[name])
    }


def changes(instance: Model, *, created: bool, saved: frozenset[str] | None) -> dict[str, tuple[Any, Any]]:
    """attname → (before, after) of what this save changed; `saved` is its update_fields."""
    model = type(instance)
    if model not in _tracked:
        return {}
    loaded = {} if created else instance.__dict__.get(_LOADED, {})
    found = {}
    for attname in _tracked[model]:
        if saved is not None and not saved & {attname, _field(model, attname).name}:
            continue
        before, after = loaded.get(attname, _ABSENT), _plain(instance.__dict__.get(attname, _ABSENT))
        if after is _ABSENT or _is_expression(after) or (before is _ABSENT and not created):
            continue
        before = None if before is _ABSENT else before
        if not _are_equal(_field(model, attname), before, after):
            found[attname] = (before, after)
    _settle(instance, saved)
    return found


def _settle(instance: Model, saved: frozenset[str] | None) -> None:
    """The next save of this object starts from what this one wrote."""
    kept = instance.__dict__.get(_LOADED, {})
    _keep(instance)
    if saved is not None:
        model = type(instance)
        unsaved = {n: v for n, v in kept.items() if not saved & {n, _field(model, n).name}}
        instance.__dict__[_LOADED] |= unsaved


def _plain(value: Any) -> Any:
    # A FieldFile changes under our hands when its field is assigned; its name doesn't.
    return value.name if isinstance(value, FieldFile) else value


def _is_expression(value: Any) -> bool:
    return hasattr(value, "resolve_expression")


def _are_equal(field: Field[Any, Any], before: Any, after: Any) -> bool:
    """Whether the save left the row as it was: a date given as text is that date."""
    if before == after:
        return True
    try:
        return bool(before == field.to_python(after))
    except (ValidationError, TypeError, ValueError):
        return False


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    for field in model._meta.concrete_fields:
        if name in (field.name, field.attname):
            return field
    raise FieldDoesNotExist(name)


def _attname(model: type[Model], name: str) -> str:
    try:
        attname = _field(model, name).attname
    except FieldDoesNotExist:
        raise InvalidOffload(f"track: {model._meta.label} has no column {name!r}.") from None
    if attname in plan_for(model).home:
        raise InvalidOffload(f"track: {model._meta.label}.{name} is sensitive and doesn't travel.")
    return attname
