"""Whether a stored envelope is about a row, or refers to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings as django_settings
from django.db.models import Field, Q

from events.envelope import BY
from events.exceptions import EventsError
from events.operations.naming import content_types, model_of, other_keys, same_rows, target_of, values_of
from events.serializers import load_value

# How a value that is no plain JSON says what it is: see events.serializers.leaves.
_TAG = "$"


class NoSubject(EventsError, ValueError):
    """A subject is written app.model/key, as in library.book/42."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row by the names envelopes have for it: its model's, its proxies', its parents' and children's."""

    labels: frozenset[str]
    # As in a subject; the parts of a composite key are joined by commas.
    pk: str
    # What foreign keys with to_field= say instead: attname → its values, as snapshots write them.
    aliases: Mapping[str, frozenset[Any]] = field(default_factory=dict)
    # Ids of the content types by which generic foreign keys name its models.
    types: frozenset[int] = frozenset()

    @classmethod
    def called(cls, subject: str) -> Row:
        """Raises `NoSubject`. The row, and even its model, may be gone: events about them are still here."""
        label, slash, pk = subject.partition("/")
        if not slash or not pk or label.count(".") != 1:
            raise NoSubject(f"{subject!r} is no subject: write app.model/key, as in library.book/42.")
        return cls(labels=same_rows(label.lower()), pk=pk)

    def known_to(self, using: str) -> Row:
        """The same, by whatever else the database and the events about it have called it."""
        return replace(
            self, aliases=other_keys(using, self.labels, self.pk), types=content_types(using, self.labels)
        )

    def subjects(self) -> list[str]:
        return sorted(f"{label}/{self.pk}" for label in self.labels)

    def candidates(self) -> Q:
        """What the database can tell of it: a few too many, and none too few."""
        found = Q(subject__in=self.subjects())
        for needle in {self.pk.partition(",")[0], *(v for values in self.aliases.values() for v in values)}:
            # As JSON writes it.
            found |= Q(envelope__contains=json.dumps(str(needle), ensure_ascii=False)[1:-1])
        return found

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

    def emitted(self, data: Mapping[str, Any]) -> bool:
        """Whether the row is the user in whose request it was emitted."""
        return any(self._references(data.get(BY)))

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
        model = model_of(data.get("model", ""))
        if model is None:
            return
        for link in model._meta.concrete_fields:
            target = target_of(link, self.labels)
            if target is not None:
                yield any(self._is_called(target, value) for value in values_of(data, link.attname))
        for generic in model._meta.private_fields:
            # Asked so, because django.contrib.contenttypes need not be installed.
            if hasattr(generic, "ct_field") and hasattr(generic, "fk_field"):
                kinds = values_of(data, getattr(model._meta.get_field(generic.ct_field), "attname", ""))
                keys = values_of(data, generic.fk_field)
                yield not self.types.isdisjoint(kinds) and any(map(self._is_key, keys))

    def _is_called(self, target: Field[Any, Any], value: object) -> bool:
        return self._is_key(value) if target.primary_key else value in self.aliases.get(target.attname, ())

    def _set_of_keys(self, args: Mapping[str, Any]) -> Iterator[bool]:
        """Many-to-many: the rows at the other end."""
        model, keys = args.get("model"), args.get("pk_set")
        if isinstance(model, dict) and isinstance(keys, dict) and model.get("v") in self.labels:
            yield any(self._is_key(load_value(key)) for key in keys["v"])

    def _is_key(self, value: object) -> bool:
        if value is None:
            return False
        return self.pk == (",".join(map(str, value)) if isinstance(value, tuple) else str(value))


def _user_label() -> str:
    return django_settings.AUTH_USER_MODEL.lower()
