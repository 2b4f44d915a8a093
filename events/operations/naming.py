"""What else a row is called: by the models that share its key, and by the keys that point to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Field, Model

from events.envelope import decode
from events.models import EventRecord
from events.serializers import plan_for


def same_rows(label: str) -> frozenset[str]:
    """Labels of the models whose row of the same key is this one, or a part of it: proxies, parents, children."""
    model = model_of(label)
    if model is None:
        return frozenset({label})
    concrete = model._meta.concrete_model
    above = set(_line(concrete))
    everyone = apps.get_models(include_auto_created=True)
    return frozenset(
        m._meta.label_lower
        for m in everyone
        if m._meta.concrete_model in above or concrete in _line(m._meta.concrete_model)
    )


def _line(model: Any) -> Iterator[Any]:
    """The model, and those of its ancestors whose key is its own."""
    yield model
    link = model._meta.pk.remote_field
    if link is not None and getattr(link, "parent_link", False):
        yield from _line(link.model._meta.concrete_model)


def target_of(link: Field[Any, Any], labels: Collection[str]) -> Field[Any, Any] | None:
    """The field that a foreign key to one of the models refers to; None for any other field."""
    model = link.related_model
    if isinstance(model, type) and issubclass(model, Model) and model._meta.label_lower in labels:
        target: Field[Any, Any] | None = getattr(link, "target_field", None)
        return target
    return None


def other_keys(using: str, labels: Collection[str], pk: str) -> Mapping[str, frozenset[Any]]:
    """Attname → values by which foreign keys with to_field= name the row: as it is, and as events about it tell."""
    targets = {
        target.attname
        for model in apps.get_models(include_auto_created=True)
        for link in model._meta.concrete_fields
        if (target := target_of(link, labels)) is not None and not target.primary_key
    }
    found: dict[str, set[Any]] = defaultdict(set)
    if targets:
        for data in (*_snapshots(using, labels, pk), *_current(using, labels, pk, targets)):
            for name in targets:
                found[name].update(v for v in values_of(data, name) if isinstance(v, (str, int)))
    return {name: frozenset(values) for name, values in found.items()}


def _snapshots(using: str, labels: Collection[str], pk: str) -> Iterator[Mapping[str, Any]]:
    events = EventRecord.objects.using(using).filter(subject__in=[f"{label}/{pk}" for label in labels])
    for envelope in events.values_list("envelope", flat=True).iterator():
        yield decode(envelope).data


def _current(
    using: str, labels: Collection[str], pk: str, targets: Collection[str]
) -> Iterator[Mapping[str, Any]]:
    for model in filter(None, map(model_of, labels)):
        names = [f.attname for f in model._meta.concrete_fields if f.attname in targets]
        plan = plan_for(model)
        try:
            rows = list(model._base_manager.using(using).filter(pk=pk).values(*names)) if names else []
        except (TypeError, ValueError, ValidationError):
            # No key of this model.
            continue
        for values in rows:
            yield {"instance": {name: plan.dump(name, values[name]) for name in names if name in plan.names}}


def content_types(using: str, labels: Collection[str]) -> frozenset[int]:
    """Also of models that are gone: their content types stay."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return frozenset()
    rows = apps.get_model("contenttypes", "ContentType")._base_manager.using(using)
    kinds = rows.values_list("app_label", "model", "pk")
    return frozenset(pk for app_label, name, pk in kinds if f"{app_label}.{name}" in labels)


def values_of(data: Mapping[str, Any], name: str) -> list[Any]:
    """What a snapshot says of the field; before the change too, where the event tells of one."""
    return [data.get("instance", {}).get(name), *data.get("changes", {}).get(name, ())]


def model_of(label: str) -> type[Model] | None:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None
