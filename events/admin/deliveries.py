from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Right
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.admin.asking import NO_REASON
from events.admin.base import ReadOnlyAdmin, ReasonForm, reason
from events.admin.filters import QueueFilter, ReceiverFilter
from events.admin.showing import (
    EMPTY,
    badge,
    link,
    moment,
    page_of,
    preformatted,
    receiver_name,
    task_results,
)
from events.catalog import catalog
from events.models import Delivery, State
from events.operations.jobs import MOST_NAMED, What, start
from events.operations.redelivering import discard, redeliver
from events.registry import registry
from events.relay.jobs import Chosen
from events.relay.slices import BATCH
from events.texts import last_line

# Characters at the end of an error among which its last line is looked for.
_ENDING = 400

Operation = Callable[..., Iterator[int]]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("short_receiver", "state_badge", "event_link", "summary", "finished")
    list_filter = ("state", ReceiverFilter, QueueFilter)
    list_select_related = ("event",)
    search_fields = ("receiver",)
    search_help_text = (
        "An id of an event or of a task, a subject such as library.book/42, a type, or a receiver."
    )
    change_form_template = "events/admin/delivery.html"
    actions = ("redeliver", "discard")
    action_form = ReasonForm
    fields = (
        "receiver",
        "event_link",
        "queue",
        "state_badge",
        "reason",
        "tries",
        "attempt",
        "careful",
        "next_look",
        "started",
        "finished",
        "worker",
        "task_result",
        "traceback",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows: QuerySet[Delivery] = super().get_queryset(request).annotate(ending=Right("error", _ENDING))
        return rows.defer("error", "event__envelope")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            key = UUID(term)
        except ValueError:
            return queryset.filter(_named(term)), False
        return queryset.filter(Q(event_id=key) | Q(message_id=key)), False

    @admin.display(description="receiver")
    def short_receiver(self, row: Delivery) -> SafeString:
        return receiver_name(row.receiver)

    @admin.display(description="next look, or next try")
    def next_look(self, row: Delivery) -> str:
        return moment(row.next_at)

    @admin.display(description="started")
    def started(self, row: Delivery) -> str:
        return moment(row.started_at)

    @admin.display(description="finished")
    def finished(self, row: Delivery) -> str:
        return moment(row.finished_at)

    @admin.display(description="event")
    def event_link(self, row: Delivery) -> SafeString:
        return link(page_of(row.event), row.event)

    @admin.display(description="state")
    def state_badge(self, row: Delivery) -> SafeString:
        return badge(row.state)

    @admin.display(description="why")
    def summary(self, row: Any) -> str:
        why = row.reason or last_line(row.ending)[:120]
        if row.tries:
            why = f"{row.tries} failed {'try' if row.tries == 1 else 'tries'}: {why}"
        return why or EMPTY

    @admin.display(description="task result")
    def task_result(self, row: Delivery) -> SafeString | str:
        if row.message_id is None:
            return EMPTY
        address = task_results([row.message_id]).get(row.message_id, "")
        return link(address, row.message_id) if address else format_html("{} (none stored)", row.message_id)

    @admin.display(description="error")
    def traceback(self, row: Delivery) -> SafeString | str:
        return preformatted(row.error)

    # --- Actions: each has a permission of its own, which Django asks again when the form comes in. ---------

    def has_redeliver_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("offload.redeliver_delivery")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("offload.discard_delivery")

    @admin.action(description="Redeliver the selected dead letters", permissions=["redeliver"])
    def redeliver(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._act(request, queryset, redeliver, "redelivered")

    @admin.action(description="Discard the selected dead letters", permissions=["discard"])
    def discard(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        if not reason(request):
            messages.error(request, NO_REASON)
            return
        self._act(request, queryset, discard, "discarded")

    def _act(
        self, request: HttpRequest, queryset: QuerySet[Delivery], operate: Operation, done: What
    ) -> None:
        states = dict(queryset.order_by("pk").values_list("pk", "state")[: MOST_NAMED + 1])
        dead = [pk for pk, state in states.items() if state == State.DEAD]
        if len(states) > MOST_NAMED:
            messages.error(
                request, f"More than {MOST_NAMED:,}: choose them on the page of failures, by their kind."
            )
            return
        if len(dead) > BATCH:
            self._leave_to_the_relays(request, dead, done)
            return
        number = self._some(request, dead, operate, done)
        if number:
            messages.success(request, f"{number} dead letters {done}.")
        if left := len(states) - number:
            messages.warning(request, f"{left} left as they are: only dead letters are {done}.")

    def _leave_to_the_relays(self, request: HttpRequest, keys: list[int], done: What) -> None:
        by = request.user.get_username()
        job = start(DEFAULT_DB_ALIAS, Chosen(keys=tuple(keys)), done, by=by, why=reason(request))
        text = f"{len(keys):,} dead letters are being {done} in the background: "
        messages.success(request, format_html("{}{}", text, link(page_of(job), "how far it is")))

    def _some(self, request: HttpRequest, keys: Sequence[int], operate: Operation, done: str) -> int:
        # Together: nothing is done without its entry in the log, and nothing logged that was not done.
        with transaction.atomic(using=DEFAULT_DB_ALIAS):
            number = sum(operate(DEFAULT_DB_ALIAS, keys, by=request.user.get_username(), why=reason(request)))
            if number:
                rows = Delivery.objects.filter(pk__in=keys).only("pk", "receiver", "state")
                self.record(request, rows, done)
        return number

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        row = self.get_object(request, object_id)
        dead = row is not None and row.state == State.DEAD
        may = {
            "may_redeliver": dead and self.has_redeliver_permission(request),
            "may_discard": dead and self.has_discard_permission(request),
        }
        return super().change_view(request, object_id, *args, **{**kwargs, "extra_context": may})


def _named(term: str) -> Q:
    """One kind of name, found by its form: asked for all kinds at once, the database would read both tables."""
    if "/" in term:
        return Q(event__subject=term)
    if any(entry.type == term for entry in catalog()):
        return Q(event__type=term)
    return Q(receiver=term) if term in registry else Q(receiver__contains=term)
