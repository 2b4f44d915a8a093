"""Who sends what to whom, drawn from the registry, with what each line carries just now."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from events.admin import measures
from events.admin.base import ReadOnlyAdmin
from events.admin.drawing import Live, draw
from events.admin.showing import list_of
from events.flow import Flow, Route, collect
from events.models import Delivery, FlowMap
from events.operations.failures import by_receiver
from events.operations.minutes import Sum, last_hour
from events.operations.unfinished import retrying
from events.relay.workers import Workforce


@admin.register(FlowMap)
class FlowMapAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        of = self.reading
        return [
            path("", of(self.changelist_view), name="offload_flowmap_changelist"),
            path("now/", of(self.now), name="offload_flowmap_now"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        everything = "all" in request.GET
        flow = self._flow(request)
        query = urlencode({"all": "1"}) if everything else ""
        context = {
            **self.admin_site.each_context(request),
            **_drawn(flow),
            "receivers": _receivers(flow),
            "left_out": flow.left_out,
            "everything": everything,
            "title": "Flow map",
            "opts": self.opts,
            "media": self.media,
            "now_url": f"{reverse('admin:offload_flowmap_now')}?{query}",
        }
        return TemplateResponse(request, "events/admin/flowmap.html", context)

    def now(self, request: HttpRequest) -> HttpResponse:
        """The drawing alone."""
        response = render(request, "events/admin/flowmap_now.html", _drawn(self._flow(request)))
        response["Cache-Control"] = "no-store"
        return response

    def _flow(self, request: HttpRequest) -> Flow:
        if not self.has_view_permission(request):
            raise PermissionDenied
        flow = collect()
        if "all" in request.GET:
            return flow
        return Flow(routes=tuple(route for route in flow.routes if route.queue), left_out=flow.left_out)


def _anchors(flow: Flow) -> dict[str, str]:
    names = dict.fromkeys(route.receiver for route in flow.routes)
    return {name: f"receiver-{at}" for at, name in enumerate(names, start=1)}


def _drawn(flow: Flow) -> dict[str, Any]:
    hour = last_hour(DEFAULT_DB_ALIAS)
    failed = retrying(DEFAULT_DB_ALIAS).failed_tries
    dead = {each.receiver: each.dead for each in by_receiver(DEFAULT_DB_ALIAS)}
    receivers = {
        name: _live(hour.receivers.get(name) or Sum(), failed[name], dead.get(name, 0))
        for name in {route.receiver for route in flow.routes if route.queue}
    }
    queues = {name: _live(found) for name, found in hour.queues.items()}
    anchors = {name: f"#{anchor}" for name, anchor in _anchors(flow).items()}
    return {"drawing": draw(flow, Workforce.read(DEFAULT_DB_ALIAS), receivers, queues, anchors)}


def _live(found: Sum, failed: int = 0, dead: int = 0) -> Live:
    """The pace of the last minutes, the failures of the last hour and of what is tried again, the dead letters."""
    told = [f"{measures.rate(found.per_minute())} a minute", f"{found.ended:,} in the last hour"]
    label = f"{measures.rate(found.per_minute())}/min" if found.ended or failed else ""
    share = found.failure_share(failed)
    if share:
        told.append(f"{measures.percent(share)} of the tries failed")
        label += f" · {measures.percent(share)} failed"
    if dead:
        told.append(f"{dead:,} dead letters" if dead > 1 else "1 dead letter")
    return Live(per_minute=label, failing=bool(share or dead), told=", ".join(told))


def _receivers(flow: Flow) -> list[dict[str, Any]]:
    anchors = _anchors(flow)
    found: dict[str, dict[str, Any]] = {}
    for route in flow.routes:
        one = found.setdefault(route.receiver, _receiver(route, anchors[route.receiver]))
        one["sources"].append(f"{route.signal} from {route.sender}")
    return list(found.values())


def _receiver(route: Route, anchor: str) -> dict[str, Any]:
    return {
        "anchor": anchor,
        "name": route.receiver,
        "route": route,
        "sources": [],
        "deliveries": list_of(Delivery, receiver=route.receiver) if route.queue else "",
    }
