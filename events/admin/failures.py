"""Dead letters by kind of failure: what is wrong, since when, and what is to be done with all of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from events.admin.asking import AskForm, ChosenForm
from events.admin.base import ReadOnlyAdmin
from events.admin.showing import moment, page_of, receiver_name
from events.catalog import catalog
from events.models import Delivery, Failure
from events.operations.failures import MOST, Group, failures, groups
from events.operations.jobs import NothingChosen, note, notes, story
from events.operations.pausing import known_queues
from events.registry import registry
from events.relay.jobs import Chosen
from events.texts import storable

# Dead letters of one kind, and what was done with it, that its page lists.
_LISTED = 100

_MAY = {"redeliver": "redeliver_delivery", "discard": "discard_delivery", "note": "note_delivery"}


@admin.register(Failure)
class FailureAdmin(ReadOnlyAdmin):
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("offload.view_delivery")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="offload_failure_changelist"),
            path("group/", wrap(require_GET(self.group_view)), name="offload_failure_group"),
            path("act/", wrap(require_POST(self.act_view)), name="offload_failure_act"),
            path("note/", wrap(require_POST(self.note_view)), name="offload_failure_note"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._assert_may(request)
        form = ChosenForm(request.GET)
        found = groups(DEFAULT_DB_ALIAS, form.chosen()) if form.is_valid() else []
        noted = notes(DEFAULT_DB_ALIAS, [(group.receiver, group.fingerprint) for group in found])
        context = {
            "title": "Failures",
            "form": form,
            "filtered": any(request.GET.values()),
            "groups": [_line(group, noted) for group in found],
            "total": sum(group.count for group in found),
            "cut": len(found) == MOST,
            "receivers": registry.names(),
            "queues": sorted(known_queues(DEFAULT_DB_ALIAS)),
            "types": [entry.type for entry in catalog()],
        }
        return self._page(request, "failures.html", context)

    def group_view(self, request: HttpRequest) -> HttpResponse:
        self._assert_may(request)
        receiver, fingerprint = (storable(request.GET.get(name, "")) for name in ("receiver", "fingerprint"))
        chosen = Chosen(receiver=receiver, fingerprint=fingerprint)
        [*found] = groups(DEFAULT_DB_ALIAS, chosen)
        context = {
            "title": "Failures of one kind",
            "receiver": receiver,
            "receiver_name": receiver_name(receiver),
            "fingerprint": fingerprint,
            "group": found[0] if found and receiver else None,
            "rows": [_row(row) for row in failures(DEFAULT_DB_ALIAS, chosen)[:_LISTED]],
            "story": story(DEFAULT_DB_ALIAS, receiver, fingerprint)[:_LISTED],
            "filtered": True,
        }
        return self._page(request, "failure_group.html", context)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        form = AskForm(request.POST)
        self._assert_may(request, request.POST.get("act", ""))
        if not form.is_valid():
            for name, errors in form.errors.items():
                messages.error(request, f"{name}: {' '.join(map(str, errors))}")
            return self._back(request)
        try:
            job = form.start(DEFAULT_DB_ALIAS, _keys(request.POST), by=request.user.get_username())
        except (NothingChosen, ValueError) as error:
            messages.error(request, str(error))
            return self._back(request)
        messages.success(request, f"{job.total:,} dead letters are being {job.what} in the background.")
        if request.user.has_perm("offload.view_action"):
            return HttpResponseRedirect(page_of(job))
        return self._back(request)

    def note_view(self, request: HttpRequest) -> HttpResponse:
        self._assert_may(request, "note")
        text = request.POST.get("text", "").strip()[:5_000]
        receiver, fingerprint = request.POST.get("receiver", ""), request.POST.get("fingerprint", "")
        if not text or not receiver:
            messages.error(request, "A note has a text, and is about a kind of failure.")
        else:
            note(DEFAULT_DB_ALIAS, receiver, fingerprint, text, by=request.user.get_username())
            messages.success(request, "Noted.")
        return self._back(request)

    def _assert_may(self, request: HttpRequest, act: str | None = None) -> None:
        """Looking, and each act, has a permission of its own; an act that isn't known has none."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if act is not None and not (act in _MAY and request.user.has_perm(f"offload.{_MAY[act]}")):
            raise PermissionDenied

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        may = {f"may_{act}": request.user.has_perm(f"offload.{name}") for act, name in _MAY.items()}
        common = {**self.admin_site.each_context(request), **may, "opts": self.opts, "media": self.media}
        return TemplateResponse(request, f"events/admin/{template}", {**common, **context})

    @staticmethod
    def _back(request: HttpRequest) -> HttpResponse:
        if "one_kind" in request.POST:
            kind = {name: request.POST.get(name, "") for name in ("receiver", "fingerprint")}
            return HttpResponseRedirect(group_page(**kind))
        return HttpResponseRedirect(reverse("admin:offload_failure_changelist"))


def group_page(receiver: str, fingerprint: str) -> str:
    query = urlencode({"receiver": receiver, "fingerprint": fingerprint})
    return f"{reverse('admin:offload_failure_group')}?{query}"


def _keys(data: QueryDict) -> tuple[int, ...] | None:
    """Those that were selected, where it is about a selection. Raises `ValueError`, with a message for a person."""
    if "selected" not in data:
        return None
    keys = data.getlist("keys")
    if not keys or not all(key.isascii() and key.isdigit() and len(key) <= 18 for key in keys):
        raise ValueError("Select the deliveries first.")
    return tuple(sorted({int(key) for key in keys}))


def _line(group: Group, noted: dict[tuple[str, str], int]) -> dict[str, Any]:
    return {
        "group": group,
        "page": group_page(group.receiver, group.fingerprint),
        "receiver": receiver_name(group.receiver),
        "first": moment(group.first),
        "last": moment(group.last),
        "sample": page_of(group.sample) if group.sample else "",
        "notes": noted.get((group.receiver, group.fingerprint), 0),
    }


def _row(row: Delivery) -> dict[str, Any]:
    return {
        "row": row,
        "page": page_of(row),
        "event": page_of(row.event),
        "finished": moment(row.finished_at),
    }
