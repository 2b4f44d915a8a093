"""Choices from the registry: asking a large table for its distinct values takes long."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from events.catalog import catalog
from events.operations.pausing import known_queues
from events.registry import registry
from events.texts import storable


class _Exactly(admin.SimpleListFilter):
    """Rows whose `parameter_name` is the value chosen."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if value is None else queryset.filter(**{str(self.parameter_name): storable(value)})


class ReceiverFilter(_Exactly):
    title = "receiver"
    parameter_name = "receiver"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in registry.names()]


class QueueFilter(_Exactly):
    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(known_queues("default"))]


class TypeFilter(_Exactly):
    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(entry.type, entry.type) for entry in catalog()]
