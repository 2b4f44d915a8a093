"""Values before a save: remembered when a row is loaded, compared when it is saved."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Field, Model
from django.db.models.fields.files import FieldFile
from django.db.models.signals import post_init, post_save, pre_save

from events.exceptions import InvalidOffload
from events.serializers import plan_for

# Attributes of a tracked instance: what its row held, and what the save in progress changed of that.
_LOADED = "_events_loaded"
_CHANGES = "_events_changes"
_ABSENT = object()

_tracked: dict[type[Model], tuple[str, ...]] = {}


def track(model: type[Model], names: tuple[str, ...]) -> None:
    """Remember these fields of every loaded `model`. Raises `InvalidOffload` for one it may not carry."""
    attnames = tuple(_attname(model, name) for name in names)
    if model not in _tracked:
        _follow_refreshes(model)
    _tracked[model] = tuple(dict.fromkeys((*_tracked.get(model, ()), *attnames)))
    post_init.connect(remember, sender=model, dispatch_uid="events.tracking")
    # A save that emits nothing (muted, or no condition held) must be told from the next one all the same.
    pre_save.connect(_begin_save, sender=model, dispatch_uid="events.tracking")
    post_save.connect(_end_save, sender=model, dispatch_uid="events.tracking")


def _begin_save(instance: Model, **kwargs: Any) -> None:
    instance.__dict__.pop(_CHANGES, None)


def _end_save(instance: Model, created: bool, update_fields: frozenset[str] | None, **kwargs: Any) -> None:
    changes(instance, created=created, saved=update_fields)


def _follow_refreshes(model: type[Model]) -> None:
    """Django announces no refresh, nor the loading of a deferred field, which is one."""
    refresh = model.refresh_from_db

    @functools.wraps(refresh)
    def refresh_and_keep(
        self: Model, using: str | None = None, fields: Iterable[str] | None = None, *args: Any, **kwargs: Any
    ) -> None:
        names = None if fields is None else frozenset(fields)
        refresh(self, using, names, *args, **kwargs)
        if type(self) in _tracked:
            _keep(self, names)

    model.refresh_from_db = refresh_and_keep  # type: ignore[method-assign]


def remember(instance: Model, **kwargs: Any) -> None:
    # from_db marks a row as loaded only after __init__, where this runs: one with a key is taken for
    # loaded, and changes() is told at the save whether it was created.
    if instance.__dict__.get(instance._meta.pk.attname) is not None:
        _keep(instance)


def _keep(instance: Model, names: frozenset[str] | None = None) -> None:
    """Take what `instance` holds for what its row holds; of these fields only, by name or attname."""
    model, values = type(instance), instance.__dict__
    kept: dict[str, Any] = dict(values.get(_LOADED, {}))
    for attname in _tracked[model]:
        if names is not None and not names & {attname, _field(model, attname).name}:
            continue
        if attname not in values or _is_expression(values[attname]):
            # An expression has no value before it is loaded again.
            kept.pop(attname, None)
        else:
            kept[attname] = _plain(values[attname])
    values[_LOADED] = kept


def changes(instance: Model, *, created: bool, saved: frozenset[str] | None) -> dict[str, tuple[Any, Any]]:
    """attname → (before, after) of what this save changed; `saved` is its update_fields."""
    if type(instance) not in _tracked:
        return {}
    if _CHANGES not in instance.__dict__:
        # Whoever comes first, a publisher or `_end_save`, settles what the next save starts from.
        instance.__dict__[_CHANGES] = _compared(instance, created=created, saved=saved)
        _keep(instance, saved)
    found: dict[str, tuple[Any, Any]] = instance.__dict__[_CHANGES]
    return found


def _compared(instance: Model, *, created: bool, saved: frozenset[str] | None) -> dict[str, tuple[Any, Any]]:
    model = type(instance)
    loaded = {} if created else instance.__dict__.get(_LOADED, {})
    found = {}
    for attname in _tracked[model]:
        field = _field(model, attname)
        if saved is not None and not saved & {attname, field.name}:
            continue
        before, after = loaded.get(attname, _ABSENT), _plain(instance.__dict__.get(attname, _ABSENT))
        if after is _ABSENT or _is_expression(after) or (before is _ABSENT and not created):
            continue
        before = None if before is _ABSENT else before
        if not _are_equal(field, before, after):
            found[attname] = (before, after)
    return found


def _plain(value: Any) -> Any:
    """The value as it will still be when it has been changed in place: a file by its name, a copied document."""
    if isinstance(value, FieldFile):
        return value.name
    if not isinstance(value, (dict, list, set, bytearray)):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - a document may hold anything; no save and no load fails because of us
        return value


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
