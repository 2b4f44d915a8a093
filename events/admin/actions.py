from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet, Value
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_POST

from events.admin.base import ReadOnlyAdmin
from events.admin.showing import may_see_errors, moment, page_of, why_of
from events.models import Action
from events.operations.jobs import go_on, stop
from events.texts import unquoted

# What a job does → who may stop it and let it go on: whoever may ask for it.
_MAY = {
    "redelivered": "offload.redeliver_delivery",
    "discarded": "offload.discard_delivery",
    "counted": "offload.replay_eventrecord",
    "replayed": "offload.replay_eventrecord",
}
_TURNS = {"stop": (stop, "Stopped."), "go_on": (go_on, "It goes on.")}


@admin.register(Action)
class ActionAdmin(ReadOnlyAdmin):
    """Who did what: read by those who may see it, written by the actions themselves. A job is watched here."""

    list_display = ("when", "by", "what", "target", "how_many", "state", "reason")
    list_display_links = ("when",)
    list_filter = ("state",)
    fields = ("when", "by", "what", "target", "how_many", "reason", "state", "rate", "finished", "result")
    search_fields = ("=by",)
    search_help_text = "The name of who did it, in full."
    change_form_template = "events/admin/action.html"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path(
                "<int:pk>/progress/",
                self.reading(require_GET(self.progress_view)),
                name="offload_action_progress",
            ),
            path("<int:pk>/turn/", wrap(require_POST(self.turn_view)), name="offload_action_turn"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Action]:
        rows: QuerySet[Action] = super().get_queryset(request)
        return rows.annotate(quotes=Value(may_see_errors(request.user)))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Django takes any column of ours in the address: letter by letter, a text would tell itself.
        is_quoting = lookup.partition("__")[0] in ("why", "outcome")
        return not is_quoting and super().lookup_allowed(lookup, value, request)

    @admin.display(description="when")
    def when(self, row: Action) -> str:
        return moment(row.at)

    @admin.display(description="finished")
    def finished(self, row: Action) -> str:
        return moment(row.finished_at)

    @admin.display(description="why")
    def reason(self, row: Any) -> str:
        return why_of(row, quotes=row.quotes)

    @admin.display(description="outcome")
    def result(self, row: Any) -> str:
        return outcome_of(row, quotes=row.quotes)

    @admin.display(description="how many")
    def how_many(self, row: Action) -> str:
        # Of a replay the total is of events, and the count of deliveries.
        is_of_letters = row.total is not None and row.what in ("redelivered", "discarded")
        return f"{row.count:,} of {row.total:,}" if is_of_letters else f"{row.count:,}"

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        row = self.get_object(request, object_id)
        may = row is not None and may_turn(request, row)
        context = {
            "job": row if row is not None and row.chosen is not None else None,
            "outcome": outcome_of(row, quotes=row.quotes) if row is not None else "",
            "may_stop": may and row is not None and row.state == Action.State.RUNNING,
            "may_go_on": may and row is not None and row.state == Action.State.STOPPED,
        }
        return super().change_view(request, object_id, *args, **{**kwargs, "extra_context": context})

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What the page asks for every second while the job runs."""
        row = get_object_or_404(Action.objects.using(DEFAULT_DB_ALIAS), pk=pk)
        # Who may ask for such a job may also see how far it is, where its result is all they see of actions.
        if not (self.has_view_permission(request) or may_turn(request, row)):
            raise PermissionDenied
        return JsonResponse(
            {
                "state": row.state,
                "count": row.count,
                "passed": row.passed,
                "total": row.total,
                "outcome": outcome_of(row, quotes=may_see_errors(request.user)),
            }
        )

    def turn_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = get_object_or_404(Action.objects.using(DEFAULT_DB_ALIAS), pk=pk)
        if not self.has_view_permission(request) or not may_turn(request, row):
            raise PermissionDenied
        if request.POST.get("turn") not in _TURNS:
            raise Http404
        turn, said = _TURNS[request.POST["turn"]]
        if turn(DEFAULT_DB_ALIAS, pk, by=request.user.get_username()):
            messages.success(request, said)
        else:
            messages.warning(request, "Nothing to do: it had ended, or somebody was faster.")
        return HttpResponseRedirect(page_of(row))


def outcome_of(row: Action, *, quotes: bool) -> str:
    return row.outcome if quotes else unquoted(row.outcome)


def may_turn(request: HttpRequest, row: Action) -> bool:
    return row.chosen is not None and row.what in _MAY and request.user.has_perm(_MAY[row.what])
