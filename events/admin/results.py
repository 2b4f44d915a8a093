"""django-celery-results' own list, with readable names and results, and a way to the deliveries."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

# Theirs first: it registers the model, and would refuse to after us.
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import TaskResult

from events.admin.showing import EMPTY, deliveries_table, link, list_of, receiver_name
from events.models import Delivery

# Deliveries of one message that are shown beside its result.
_SHOWN = 100


class ReadableTaskResultAdmin(TaskResultAdmin):  # type: ignore[misc]  # it ships no types
    list_display = ("readable_name", "readable_result", "status", "deliveries_link", "worker", "date_done")
    show_full_result_count = False
    # Theirs asks the whole table for its first and last day.
    date_hierarchy = None

    class Media:
        css: ClassVar = {"all": ["events/admin.css"]}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        ours = (None, {"fields": ("readable_name", "readable_result", "deliveries")})
        return [ours, *super().get_fieldsets(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        ours = ["readable_name", "readable_result", "deliveries"]
        return [*super().get_readonly_fields(request, obj), *ours]

    @admin.display(description="task", ordering="task_name")
    def readable_name(self, result: TaskResult) -> SafeString | str:
        return receiver_name(result.task_name) if result.task_name else str(result.task_id)

    @admin.display(description="result")
    def readable_result(self, result: TaskResult) -> str:
        return readable(result.result)

    @admin.display(description="deliveries")
    def deliveries_link(self, result: TaskResult) -> SafeString | str:
        key = _message_id(result)
        return link(list_of(Delivery, message_id=str(key)), "Deliveries") if key else EMPTY

    @admin.display(description="deliveries")
    def deliveries(self, result: TaskResult) -> SafeString | str:
        key = _message_id(result)
        if key is None:
            return EMPTY
        rows = Delivery.objects.filter(message_id=key).select_related("event").order_by("event_id")
        return deliveries_table(list(rows.defer("event__envelope")[:_SHOWN]), with_event=True)


def readable(stored: str | None) -> str:
    """`{"done": 3, "retrying": 1}` as "3 done, 1 retrying"; anything else as it is, shortened."""
    try:
        value = json.loads(stored or "null")
    except ValueError:
        value = stored
    if isinstance(value, dict) and value and all(isinstance(count, int) for count in value.values()):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    if isinstance(value, dict) and "exc_type" in value:
        return f"{value['exc_type']}: {value.get('exc_message', '')}"[:120]
    return EMPTY if value in (None, {}) else str(value)[:120]


def _message_id(result: TaskResult) -> UUID | None:
    try:
        return UUID(result.task_id)
    except ValueError:
        # A task of another kind, with an id of its own form.
        return None


if admin.site.is_registered(TaskResult):
    admin.site.unregister(TaskResult)
admin.site.register(TaskResult, ReadableTaskResultAdmin)
