"""Past events again, from the admin: counted first, then worked off in the background."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from events.admin.actions import outcome_of
from events.admin.showing import may_see_errors
from events.catalog import catalog
from events.exceptions import EventsError
from events.models import Action
from events.operations.replaying import start_replay
from events.registry import registry
from events.relay.replaying import Past, Replayed
from events.relay.replays import Order


class PastForm(forms.Form):
    """Which events, and to whom."""

    types = forms.MultipleChoiceField(required=False)
    since = forms.DateTimeField(required=False)
    until = forms.DateTimeField(required=False)
    receiver = forms.ChoiceField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(entry.type, entry.type) for entry in catalog()]
        self.fields["types"].choices = names  # type: ignore[attr-defined]
        self.fields["receiver"].choices = [("", ""), *((name, name) for name in registry.names())]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if not self.errors and not any(data.values()):
            raise forms.ValidationError("Say which events: a type, a time or a receiver.")
        return data

    def past(self) -> Past:
        """Call it when the form is valid."""
        data = self.cleaned_data
        return Past(types=tuple(data["types"]), since=data["since"], until=data["until"])


class HowForm(forms.Form):
    rate = forms.FloatField(required=False, min_value=0.001, max_value=1_000_000)
    why = forms.CharField(required=False, max_length=2_000)


class ReplayView:
    """GET: the form, and a job's progress and result. POST: count, or replay what was counted."""

    def __init__(self, of: admin.ModelAdmin[Any]) -> None:
        self._admin = of

    def __call__(self, request: HttpRequest) -> HttpResponse:
        may = self._admin.has_view_permission(request) and request.user.has_perm("offload.replay_eventrecord")
        if not may:
            raise PermissionDenied
        if request.method == "POST":
            return self._replay(request) if "job" in request.POST else self._count(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "POST"])
        return self._page(request, PastForm(), request.GET.get("job"))

    def _count(self, request: HttpRequest) -> HttpResponse:
        form = PastForm(request.POST)
        if not form.is_valid():
            return self._page(request, form, None)
        receiver = form.cleaned_data["receiver"] or None
        job = self._start(request, form.past(), receiver, dry_run=True)
        return _at(job.pk if job else None)

    def _replay(self, request: HttpRequest) -> HttpResponse:
        """Exactly what was counted, once; events emitted since then are not among them."""
        form = HowForm(request.POST)
        # Locked: a double click asks twice at once, and all of it would be delivered twice.
        with transaction.atomic(using=DEFAULT_DB_ALIAS):
            counted = _job(request.POST["job"], lock=True, what="counted", state=Action.State.DONE)
            order = Order.load(counted.chosen)
            if order.replay is not None:
                messages.warning(
                    request, "That was asked for already. To replay it once more, count it anew."
                )
                return _at(order.replay)
            if not form.is_valid():
                messages.error(request, "A rate is a number above 0.")
                return _at(counted.pk)
            how = {**form.cleaned_data, "last": order.last}
            job = self._start(request, order.past, order.receiver, **how)
            if job is not None:
                order.replay = job.pk
                counted.chosen = order.dump()
                counted.save(using=DEFAULT_DB_ALIAS, update_fields=["chosen"])
        return _at(job.pk if job else None)

    def _start(self, request: HttpRequest, past: Past, receiver: str | None, **options: Any) -> Action | None:
        by = request.user.get_username()
        try:
            return start_replay(DEFAULT_DB_ALIAS, past, receiver=receiver, by=by, **options)
        except EventsError as error:
            messages.error(request, str(error))
            return None

    def _page(self, request: HttpRequest, form: PastForm, key: str | None) -> HttpResponse:
        job = _job(key) if key else None
        order = Order.load(job.chosen) if job else None
        context = {
            **self._admin.admin_site.each_context(request),
            "title": "Replay past events",
            "opts": self._admin.opts,
            "media": self._admin.media,
            "form": form,
            "job": job,
            "outcome": outcome_of(job, quotes=may_see_errors(request.user)) if job else "",
            "lines": _lines(order.found) if order else [],
            "found": order and order.found,
            "replay": order and order.replay,
        }
        return TemplateResponse(request, "events/admin/replay.html", context)


def _job(key: str, *, lock: bool = False, **conditions: str) -> Action:
    rows = Action.objects.using(DEFAULT_DB_ALIAS).filter(what__in=("counted", "replayed"), **conditions)
    rows = rows.select_for_update() if lock else rows
    # Longer ones are nobody's key, and too long for a database.
    return get_object_or_404(rows, pk=key if key.isascii() and key.isdigit() and len(key) <= 18 else 0)


def _at(job: int | None) -> HttpResponse:
    query = f"?{urlencode({'job': job})}" if job else ""
    return HttpResponseRedirect(reverse("admin:offload_eventrecord_replay") + query)


def _lines(found: Replayed) -> list[tuple[str, int, int]]:
    """Receiver, how many again, and how many for the first time."""
    names = sorted({*found.again, *found.new})
    return [(name, found.again.get(name, 0), found.new.get(name, 0)) for name in names]
