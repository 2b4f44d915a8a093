from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.http import HttpRequest

from workers.models import Alert


@admin.register(Alert)
class AlertAdmin(admin.ModelAdmin):
    """To look at: a worker writes them, and nothing that a person changes there would mean anything."""

    list_display: ClassVar = ["hour", "count", "exception", "method", "route", "message"]
    list_filter: ClassVar = ["hour", "exception"]
    search_fields: ClassVar = ["exception", "message", "route", "fingerprint"]
    date_hierarchy = "hour"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Alert | None = None) -> bool:
        return False
