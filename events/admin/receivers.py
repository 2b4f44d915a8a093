"""Every receiver, whether it runs, and why not: paused by a person, or parked by the kill switch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from events.admin.base import ReadOnlyAdmin
from events.admin.showing import may_see_errors, moment, receiver_name, why_of
from events.models import PausedReceiver
from events.operations.failures import by_receiver
from events.operations.pausing import UnknownTarget, find, pause, resume
from events.registry import registry

_ACTS = {"pause": (pause, "Paused"), "resume": (resume, "Resumed")}


@admin.register(PausedReceiver)
class ReceiverAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="offload_pausedreceiver_changelist"),
            path("act/", wrap(require_POST(self.act_view)), name="offload_pausedreceiver_act"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Receivers",
            "opts": self.opts,
            "media": self.media,
            "lines": list(_lines(quotes=may_see_errors(request.user))),
            "may_pause": request.user.has_perm("offload.pause_queue"),
        }
        return TemplateResponse(request, "events/admin/receivers.html", context)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        may = self.has_view_permission(request) and request.user.has_perm("offload.pause_queue")
        if not may:
            raise PermissionDenied
        names = request.POST.getlist("names")
        if request.POST.get("act") not in _ACTS or not names:
            messages.error(request, "Select receivers first.")
        else:
            _act(request, request.POST["act"], names)
        return HttpResponseRedirect(reverse("admin:offload_pausedreceiver_changelist"))


def _act(request: HttpRequest, act: str, names: list[str]) -> None:
    operate, done = _ACTS[act]
    by, why = request.user.get_username(), request.POST.get("why", "").strip()[:2_000]
    changed = []
    for name in names:
        try:
            target = find(DEFAULT_DB_ALIAS, name, "receiver")
        except UnknownTarget as error:
            # The others are acted upon all the same.
            messages.error(request, str(error))
            continue
        if operate(DEFAULT_DB_ALIAS, target, by=by, why=why):
            changed.append(name)
    messages.success(request, f"{done}: {', '.join(changed) or 'none, they were already'}.")


def _lines(*, quotes: bool) -> Iterator[dict[str, Any]]:
    """Two statements, however many there are."""
    paused = {row.name: row for row in PausedReceiver.objects.using(DEFAULT_DB_ALIAS)}
    dead = {each.receiver: each.dead for each in by_receiver(DEFAULT_DB_ALIAS)}
    known = {receiver.name: receiver for receiver in registry}
    for name in sorted({*known, *paused}):
        receiver, row = known.get(name), paused.get(name)
        yield {
            "name": name,
            "shown": receiver_name(name),
            "says": inspect.getdoc(receiver.function) or "" if receiver else "",
            "queue": receiver.route() if receiver else "",
            "row": row,
            "why": why_of(row, quotes=quotes) if row else "",
            "since": moment(row.since) if row else "",
            "probe": moment(row.probe_at) if row and row.probe_at else "",
            "dead": dead.get(name, 0),
            "failures": f"{reverse('admin:offload_failure_changelist')}?{urlencode({'receiver': name})}",
        }
