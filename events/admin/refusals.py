from __future__ import annotations

from django.contrib import admin

from events.admin.base import ReadOnlyAdmin
from events.models import Refusal


@admin.register(Refusal)
class RefusalAdmin(ReadOnlyAdmin):
    list_display = ("at", "count", "reason", "receiver", "worker")
    fields = ("first_at", "at", "count", "reason", "receiver", "message_id", "worker")
