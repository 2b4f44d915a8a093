from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from events.admin.base import ReadOnlyAdmin
from events.admin.showing import EMPTY
from events.models import Worker
from events.relay.workers import FRESH


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("id", "is_alive", "beat_at", "started_at", "served", "processes", "in_hand")
    ordering = ("-beat_at",)
    fields = ("id", "is_alive", "beat_at", "started_at", "left_at", "processes", "served", "known", "in_hand")

    @admin.display(description="alive", boolean=True)
    def is_alive(self, worker: Worker) -> bool:
        return worker.left_at is None and worker.beat_at > timezone.now() - timedelta(seconds=FRESH)

    @admin.display(description="queues")
    def served(self, worker: Worker) -> str:
        return ", ".join(sorted(worker.queues)) or EMPTY

    @admin.display(description="receivers")
    def known(self, worker: Worker) -> SafeString | str:
        names = ((name,) for name in sorted(worker.receivers))
        return format_html_join(SafeString("<br>"), "{}", names) or EMPTY

    @admin.display(description="deliveries in hand")
    def in_hand(self, worker: Worker) -> int:
        return len(worker.held)
