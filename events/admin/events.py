from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from events.admin.base import ReadOnlyAdmin
from events.admin.filters import TypeFilter
from events.admin.showing import EMPTY, deliveries_table, link, list_of, moment, page_of, preformatted, pretty
from events.models import Delivery, EventRecord, Size, State

# Events that one caused, shown on its page.
_CAUSED = 100
# Bytes of an envelope that are.
_SHOWN = 200_000


@admin.register(EventRecord)
class EventRecordAdmin(ReadOnlyAdmin):
    list_display = ("type", "subject", "emitted", "outcome")
    list_filter = (TypeFilter,)
    search_fields = ("type",)
    search_help_text = "An id of an event or of a story, a subject such as library.book/42, or a type."
    fields = (
        "type",
        "subject",
        "id",
        "emitted",
        "all_deliveries",
        "cause",
        "caused",
        "story",
        "next_look",
        "pretty_envelope",
    )

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
    def all_deliveries(self, event: EventRecord) -> SafeString | str:
        return deliveries_table(list(event.deliveries.order_by("receiver")))

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
        size, start = (
            EventRecord.objects.filter(pk=event.pk)
            .values_list(Size("envelope"), Left("envelope", _SHOWN))
            .get()
        )
        if size <= _SHOWN:
            return pretty(start)
        # A browser is the last place for fifty megabytes.
        return preformatted(f"{start}\n… and more: {size:,} bytes in all")
