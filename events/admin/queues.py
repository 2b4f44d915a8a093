from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin, messages
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from events.admin.base import ReadOnlyAdmin, ReasonForm, reason
from events.admin.showing import link, list_of, moment
from events.models import Delivery, Queue
from events.operations.pausing import Target, pause, resume
from events.relay.behind import oldest_due


@admin.register(Queue)
class QueueAdmin(ReadOnlyAdmin):
    list_display = ("name", "paused", "oldest_due", "deliveries", "lease_owner", "lease_until")
    ordering = ("name",)
    fields = ("name", "paused", "oldest_due", "deliveries", "lease_owner", "lease_until")
    actions = ("pause", "resume")
    action_form = ReasonForm

    @admin.display(description="oldest delivery due since")
    def oldest_due(self, queue: Queue) -> str:
        due = oldest_due(DEFAULT_DB_ALIAS, queue.name)
        since = moment(due and due.since)
        return f"{since}: it falls behind" if due and due.is_long and not queue.paused else since

    @admin.display(description="deliveries")
    def deliveries(self, queue: Queue) -> SafeString:
        return link(list_of(Delivery, queue=queue.name), "Its deliveries")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("offload.pause_queue")

    @admin.action(description="Pause the selected queues", permissions=["pause"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Queue]) -> None:
        self._act(request, queryset, pause, "paused")

    @admin.action(description="Resume the selected queues", permissions=["pause"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Queue]) -> None:
        self._act(request, queryset, resume, "resumed")

    def _act(
        self, request: HttpRequest, queryset: QuerySet[Queue], operate: Callable[..., bool], done: str
    ) -> None:
        by, why = request.user.get_username(), reason(request)
        with transaction.atomic(using=DEFAULT_DB_ALIAS):
            names = [
                queue.name
                for queue in queryset
                if operate(DEFAULT_DB_ALIAS, Target("queue", queue.name), by=by, why=why)
            ]
            rows = Queue.objects.filter(name__in=names)
            self.record(request, rows, done)
        messages.success(request, f"{done.capitalize()}: {', '.join(names) or 'none, they were already'}.")
