from __future__ import annotations

from django.contrib import admin

from events.admin.base import ReadOnlyAdmin
from events.admin.showing import moment
from events.models import Action


@admin.register(Action)
class ActionAdmin(ReadOnlyAdmin):
    """Who did what: read by those who may see it, written by the actions themselves."""

    list_display = ("when", "by", "what", "target", "count", "why")
    list_display_links = ("when",)
    fields = ("when", "by", "what", "target", "count", "why")
    search_fields = ("=by",)
    search_help_text = "The name of who did it, in full."

    @admin.display(description="when")
    def when(self, row: Action) -> str:
        return moment(row.at)
