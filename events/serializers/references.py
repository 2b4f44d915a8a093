"""Model instances among the arguments: a reference travels, the worker fetches the row."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.apps import apps
from django.db import router
from django.db.models import Field, Model
from django.utils.functional import LazyObject, empty

from events.exceptions import NotSerializable
from events.serializers.sensitive import is_sensitive_field


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A row: hashable, and equal for equal rows."""

    # "app_label.modelname"
    model: str
    # As the primary key's field holds it; a tuple where the key is composite.
    pk: Any
    using: str

    @classmethod
    def to(cls, instance: Model) -> Reference:
        """Raises `NotSerializable` for an unsaved instance, and where the key itself is a secret."""
        instance = _unwrapped(instance)
        model = type(instance)
        label = model._meta.label
        pk = tuple(_key(field, model, instance) for field in key_fields(model))
        if any(part is None for part in pk):
            raise NotSerializable(
                f"this {label} has no primary key, or no more: save it before you send it, or send its values"
            )
        # The alias that is written to: a replica may not have the row yet when the worker looks.
        using = router.db_for_write(model, instance=instance)
        return cls(model=model._meta.label_lower, pk=pk if len(pk) > 1 else pk[0], using=using)


def _unwrapped(instance: Model) -> Model:
    """`request.user` is a lazy object: it passes for a user, and its type and __dict__ are its own."""
    if not isinstance(instance, LazyObject):
        return instance
    if instance._wrapped is empty:
        instance._setup()
    unwrapped: Model = instance._wrapped
    return unwrapped


def key_fields(model: type[Model]) -> tuple[Field[Any, Any], ...]:
    pk = model._meta.pk
    # Composite keys are new in Django 5.2: the field has the fields it is made of.
    return tuple(getattr(pk, "fields", (pk,)))


def _key(field: Field[Any, Any], model: type[Model], instance: Model) -> Any:
    if is_sensitive_field(field, model):
        raise NotSerializable(
            f"its primary key {model._meta.label}.{field.name} looks like a secret, so no event may hold it: "
            f"send the values that the receiver needs"
        )
    # As the database gives it back, or it would not be found among the fetched rows: "5" is 5.
    return field.to_python(instance.__dict__.get(field.attname))


def fetch_references(values: Iterable[object]) -> dict[Reference, Model | None]:
    """The rows of the references inside `values`, one query per model and alias; None where a row is gone."""
    wanted: dict[tuple[str, str], set[Reference]] = defaultdict(set)
    for reference in (reference for value in values for reference in references_in(value)):
        wanted[reference.model, reference.using].add(reference)
    found: dict[Reference, Model | None] = {}
    for (label, using), references in wanted.items():
        rows = _rows(apps.get_model(label), using, [reference.pk for reference in references])
        found |= {reference: rows.get(reference.pk) for reference in references}
    return found


def _rows(model: type[Model], using: str, keys: list[Any]) -> Mapping[Any, Model]:
    # The base manager: a default manager may hide rows, and an event about a hidden row is still about it.
    rows: Mapping[Any, Model] = model._base_manager.using(using).in_bulk(keys)
    return rows


def references_in(value: object) -> Iterator[Reference]:
    """Those inside lists, tuples, sets and dicts, however deep."""
    if type(value) is Reference:
        yield value
    elif type(value) in (list, tuple, set, frozenset, dict):
        items = (*value, *value.values()) if isinstance(value, dict) else cast("Iterable[object]", value)
        for item in items:
            yield from references_in(item)


def substitute(value: Any, found: Mapping[Reference, Model | None]) -> Any:
    """`value` with each reference replaced, deep inside lists, tuples, sets and dicts, by a copy of its row.

    A copy: one event's receiver must not see what another's did to the instance they were both given.
    """
    kind = type(value)
    if kind is Reference:
        return copy.copy(found.get(value))
    if kind in (list, tuple, set, frozenset):
        return kind(substitute(item, found) for item in value)
    if kind is dict:
        return {substitute(key, found): substitute(item, found) for key, item in value.items()}
    return value
