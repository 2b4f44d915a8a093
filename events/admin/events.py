from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Prefetch, Q, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from events.admin.base import ReadOnlyAdmin
from events.admin.filters import TypeFilter
from events.admin.replay import ReplayView
from events.admin.showing import (
    EMPTY,
    changes_table,
    deliveries_table,
    link,
    list_of,
    may_see_errors,
    moment,
    page_of,
    preformatted,
    pretty,
    visible_page,
)
from events.models import Delivery, EventRecord, Size, State
from events.operations.telling import Moment, Told, row_of, timeline, user_of
from events.operations.tracing import trace
from events.texts import duration, local

# Events that one caused, shown on its page.
_CAUSED = 100
# Bytes of an envelope that are.
_SHOWN = 200_000


@admin.register(EventRecord)
class EventRecordAdmin(ReadOnlyAdmin):
    list_display = ("type", "subject", "emitted", "outcome")
    list_filter = (TypeFilter,)
    change_list_template = "events/admin/events.html"
    search_fields = ("type",)
    search_help_text = "An id of an event or of a story, a subject such as library.book/42, or a type."
    fields = (
        "type",
        "about",
        "id",
        "emitted",
        "by_whom",
        "what_changed",
        "all_deliveries",
        "timelines",
        "tree",
        "cause",
        "caused",
        "story",
        "next_look",
        "pretty_envelope",
    )

    def get_urls(self) -> list[URLPattern]:
        address = path(
            "replay/", self.admin_site.admin_view(ReplayView(self)), name="offload_eventrecord_replay"
        )
        return [address, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        may = {"may_replay": request.user.has_perm("offload.replay_eventrecord")}
        return super().changelist_view(request, {**(extra_context or {}), **may})

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventRecord]:
        states = Prefetch("deliveries", Delivery.objects.only("event_id", "state"), to_attr="states")
        rows: QuerySet[EventRecord] = super().get_queryset(request).defer("envelope").prefetch_related(states)
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[EventRecord], search_term: str
    ) -> tuple[QuerySet[EventRecord], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            key = UUID(term)
        except ValueError:
            return queryset.filter(Q(subject=term) if "/" in term else Q(type__startswith=term)), False
        return queryset.filter(Q(pk=key) | Q(correlation_id=key)), False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        event: Any = super().get_object(request, object_id, from_field)
        if event is not None:
            # What its page may link to, and say of errors, depends on who looks.
            event.viewer = request.user
            event.told = Told.of(_envelope(event, _SHOWN)[0])
            event.rows = list(event.deliveries.order_by("receiver"))
        return event

    @admin.display(description="about")
    def about(self, event: Any) -> SafeString | str:
        if not event.subject:
            return EMPTY
        row = row_of(event.subject)
        if row is None:
            return f"{event.subject}, which is no longer here"
        return link(visible_page(row, event.viewer), event.subject)

    @admin.display(description="by whom")
    def by_whom(self, event: Any) -> SafeString | str:
        by = event.told.by
        if by is None:
            return "in no request" if event.causation_id is None else "a receiver, handling the event below"
        user = user_of(by)
        where = f"{by.method} /{by.route}"
        if by.user_id is None:
            return f"somebody not logged in: {where}"
        if user is None:
            return f"user {by.user_id}, who is no longer here: {where}"
        return format_html("{}: {}", link(visible_page(user, event.viewer), user), where)

    @admin.display(description="what changed")
    def what_changed(self, event: Any) -> SafeString | str:
        return changes_table(event.told.changes)

    @admin.display(description="timeline")
    def timelines(self, event: Any) -> SafeString | str:
        errors = may_see_errors(event.viewer)
        lines = [
            {"row": row, "moments": [_shown(each) for each in timeline(event, row)]} for row in event.rows
        ]
        return render_to_string("events/admin/timelines.html", {"lines": lines, "errors": errors})

    @admin.display(description="causes and effects")
    def tree(self, event: EventRecord) -> SafeString | str:
        found = trace(event._state.db or DEFAULT_DB_ALIAS, event, most=_CAUSED)
        return render_to_string(
            "events/admin/tree.html", {"roots": found.roots, "event": event, "cut": found.cut}
        )

    @admin.display(description="emitted")
    def emitted(self, event: EventRecord) -> str:
        return moment(event.emitted_at)

    @admin.display(description="next look of a relay")
    def next_look(self, event: EventRecord) -> str:
        return moment(event.next_at)

    @admin.display(description="deliveries")
    def outcome(self, event: Any) -> SafeString | str:
        counts = Counter(row.state for row in event.states)
        if not counts:
            return "on their way" if event.next_at else EMPTY
        words = [f"{counts[state]} {state.label}" for state in State if counts[state]]
        return link(list_of(Delivery, event=str(event.pk)), ", ".join(words))

    @admin.display(description="deliveries")
    def all_deliveries(self, event: Any) -> SafeString | str:
        return deliveries_table(event.rows)

    @admin.display(description="caused by")
    def cause(self, event: EventRecord) -> SafeString | str:
        if event.causation_id is None:
            return "no other event"
        found = EventRecord.objects.filter(pk=event.causation_id).defer("envelope").first()
        return link(page_of(found), found) if found else f"{event.causation_id}, which is no longer here"

    @admin.display(description="events its receivers emitted")
    def caused(self, event: EventRecord) -> SafeString | str:
        rows = EventRecord.objects.filter(causation_id=event.pk).defer("envelope").order_by("pk")[:_CAUSED]
        return (
            format_html_join(SafeString("<br>"), "{}", ((link(page_of(row), row),) for row in rows)) or EMPTY
        )

    @admin.display(description="story")
    def story(self, event: EventRecord) -> SafeString:
        address = list_of(EventRecord, correlation_id=str(event.correlation_id))
        return link(address, "All events with the same beginning")

    @admin.display(description="envelope")
    def pretty_envelope(self, event: EventRecord) -> SafeString | str:
        start, size = _envelope(event, _SHOWN)
        if size <= _SHOWN:
            return pretty(start)
        # A browser is the last place for fifty megabytes.
        return preformatted(f"{start}\n… and more: {size:,} bytes in all")


def _envelope(event: EventRecord, most: int) -> tuple[str, int]:
    """Its beginning, and its size in bytes: read by itself, for it may be large."""
    rows = EventRecord.objects.filter(pk=event.pk)
    start, size = rows.values_list(Left("envelope", most), Size("envelope")).get()
    return start, size


def _shown(each: Moment) -> dict[str, str]:
    # With milliseconds: what happens to a delivery is often over in fewer than a hundred.
    at = f"{local(each.at):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    return {"at": at, "took": duration(each.took.total_seconds()), "what": each.what, "error": each.error}
