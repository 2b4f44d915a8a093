"""Whether a stored envelope is about a row, or refers to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.db.models import Field, Model, Q

from events.exceptions import EventsError
from events.serializers import load_value

# How a value that is no plain JSON says what it is: see events.serializers.leaves.
_TAG = "$"


class NoSubject(EventsError, ValueError):
    """A subject is written app.model/key, as in library.book/42."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row by the names envelopes have for it: its model's, and its proxies'."""

    labels: frozenset[str]
    # As in a subject; the parts of a composite key are joined by commas.
    pk: str

    @classmethod
    def called(cls, subject: str) -> Row:
        """Raises `NoSubject`. The row, and even its model, may be gone: events about them are still here."""
        label, slash, pk = subject.partition("/")
        if not slash or not pk or label.count(".") != 1:
            raise NoSubject(f"{subject!r} is no subject: write app.model/key, as in library.book/42.")
        return cls(labels=_same_table(label.lower()), pk=pk)

    def subjects(self) -> list[str]:
        return sorted(f"{label}/{self.pk}" for label in self.labels)

    def candidates(self) -> Q:
        """What the database can tell of it: a few too many, and none too few."""
        # As JSON writes it.
        needle = json.dumps(self.pk.partition(",")[0], ensure_ascii=False)[1:-1]
        return Q(subject__in=self.subjects()) | Q(envelope__contains=needle)

    def is_in(self, subject: str, data: Mapping[str, Any]) -> bool:
        return subject in self.subjects() or any(
            any(found)
            for found in (
                self._references(data.get("args")),
                self._references(data.get("sender")),
                self._snapshot(data),
                self._set_of_keys(data.get("args") or {}),
            )
        )

    def _references(self, value: object) -> Iterator[bool]:
        if isinstance(value, dict):
            tag = value.get(_TAG)
            if tag == "ref":
                yield value["model"] in self.labels and self._is_key(load_value(value["pk"]))
            elif tag == "request":
                yield _user_label() in self.labels and self._is_key(value.get("user_id"))
            for item in value.values():
                yield from self._references(item)
        elif isinstance(value, list):
            for item in value:
                yield from self._references(item)

    def _snapshot(self, data: Mapping[str, Any]) -> Iterator[bool]:
        """A row that points here, now or before the change that the event tells of."""
        model = _model(data.get("model", ""))
        for name in [f.attname for f in model._meta.concrete_fields if self._is_link(f)] if model else []:
            yield self._is_key(data.get("instance", {}).get(name))
            yield any(self._is_key(value) for value in data.get("changes", {}).get(name, ()))

    def _is_link(self, field: Field[Any, Any]) -> bool:
        target = field.related_model
        return (
            isinstance(target, type)
            and issubclass(target, Model)
            and target._meta.label_lower in self.labels
            and getattr(field, "target_field", None) is target._meta.pk
        )

    def _set_of_keys(self, args: Mapping[str, Any]) -> Iterator[bool]:
        """Many-to-many: the rows at the other end."""
        model, keys = args.get("model"), args.get("pk_set")
        if isinstance(model, dict) and isinstance(keys, dict) and model.get("v") in self.labels:
            yield any(self._is_key(load_value(key)) for key in keys["v"])

    def _is_key(self, value: object) -> bool:
        if value is None:
            return False
        return self.pk == (",".join(map(str, value)) if isinstance(value, tuple) else str(value))


def _same_table(label: str) -> frozenset[str]:
    model = _model(label)
    if model is None:
        return frozenset({label})
    concrete = model._meta.concrete_model
    everyone = apps.get_models(include_auto_created=True)
    return frozenset(m._meta.label_lower for m in everyone if m._meta.concrete_model is concrete)


def _model(label: str) -> type[Model] | None:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None


def _user_label() -> str:
    return django_settings.AUTH_USER_MODEL.lower()
