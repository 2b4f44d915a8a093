"""One page that says how it is. Everything on it comes from `events.operations.health`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from events.admin import charts, measures
from events.admin.base import ReadOnlyAdmin
from events.admin.showing import list_of, receiver_name
from events.conf import settings
from events.databases import outbox_aliases
from events.models import Delivery, Minute, State
from events.operations.health import Health, Overview, QueueHealth, ReceiverHealth, overview
from events.operations.reaching import Reach
from events.texts import local


@admin.register(Minute)
class HealthAdmin(ReadOnlyAdmin):
    """In place of a list of minutes: what they say."""

    def get_urls(self) -> list[URLPattern]:
        of = self.reading
        return [
            path("", of(self.changelist_view), name="offload_minute_changelist"),
            path("now/", of(self.now), name="offload_minute_now"),
            path("health.json", of(self.as_json), name="offload_minute_json"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            **self._context(request),
            "title": "Health",
            "opts": self.opts,
            "now_url": reverse("admin:offload_minute_now"),
            "json_url": reverse("admin:offload_minute_json"),
            "media": self.media,
        }
        return TemplateResponse(request, "events/admin/health.html", context)

    def now(self, request: HttpRequest) -> HttpResponse:
        """The part of the page that changes."""
        return _fresh(render(request, "events/admin/health_now.html", self._context(request)))

    def as_json(self, request: HttpRequest) -> HttpResponse:
        self._assert_may_look(request)
        return _fresh(JsonResponse(_finite(asdict(overview(outbox_aliases())))))

    def _context(self, request: HttpRequest) -> dict[str, Any]:
        self._assert_may_look(request)
        return {"now": timezone.now(), **_shown(overview(outbox_aliases()))}

    def _assert_may_look(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


def _fresh(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response


def _finite(value: Any) -> Any:
    """JSON has no infinity: what is longer than the last bound is null, as is what is not known."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if value == float("inf") else value


def _shown(found: Overview) -> dict[str, Any]:
    links = [_link("Broker", found.broker)]
    links += [
        _link("Database" if len(found.databases) == 1 else f"Database {using}", reach)
        for using, reach in found.databases.items()
    ]
    closed = found.breaker.is_closed
    breaker = {
        "name": "Breaker",
        "ok": closed,
        "word": "closed" if closed else "open",
        "since": _since(found.breaker.since) if found.breaker.since else "",
        "text": "commits publish at once" if closed else "commits leave their events to the relay",
    }
    return {
        "links": [*links, breaker],
        "outboxes": [_outbox(each) for each in found.outboxes],
        "several": len(found.databases) > 1,
    }


def _link(name: str, reach: Reach) -> dict[str, Any]:
    return {
        "name": name,
        "ok": reach.ok,
        "word": "reachable" if reach.ok else "not reachable",
        "since": _since(reach.since),
        "text": reach.error,
    }


def _since(at: datetime) -> str:
    shown = local(at)
    same_day = shown.date() == local(timezone.now()).date()
    return f"since {shown:%H:%M:%S}" if same_day else f"since {shown:%Y-%m-%d %H:%M}"


def _outbox(found: Health) -> dict[str, Any]:
    return {
        "using": found.using,
        "cards": _cards(found),
        "chart": charts.hour(found.bars),
        "most": max(bar.done + bar.skipped + bar.dead for bar in found.bars),
        "from": found.bars[0].minute,
        "to": found.bars[-1].minute,
        "queues": [_queue(each) for each in found.queues],
        "receivers": [_receiver(each) for each in found.receivers if not each.is_idle],
        "idle": [_receiver(each) for each in found.receivers if each.is_idle],
    }


def _cards(found: Health) -> list[dict[str, Any]]:
    last = found.last_minute
    minute = local(last.minute)
    oldest = found.oldest_undelivered
    late = oldest is not None and (timezone.now() - oldest).total_seconds() > settings.MAX_WAIT
    hour = found.last_hour
    dead = list_of(Delivery, state__exact=State.DEAD)
    waiting = list_of(Delivery, state__exact=State.WAITING)
    relay = found.relay
    failing = measures.at_least(found.retrying, more=found.more_retrying)
    return [
        _card("Oldest undelivered", measures.ago(oldest), "event not yet with all its receivers", bad=late),
        _card("Last minute", f"{last.done + last.skipped + last.dead:,}", f"{_ended(last.emitted)}, at {minute:%H:%M}"),
        _card("Last hour", f"{hour['done'] + hour['skipped'] + hour['dead']:,}", _ended(hour["emitted"])),
        _card("Failing now", failing, "failed, and tried again", bad=found.retrying, url=waiting),
        _card("Died in the last hour", f"{hour['dead']:,}", f"{hour['skipped']:,} skipped", bad=hour["dead"]),
        _card("Dead letters", f"{found.dead:,}", "wait for a person", bad=found.dead, url=dead),
        _card("Workers", f"{found.workers:,}", "give signs of life", bad=not found.workers),
        _card("Relay", measures.seconds_ago(relay.silent_for), relay.owner, bad=not relay.is_alive),
    ]  # fmt: skip


def _ended(events: int) -> str:
    """Beside how many: an event has a delivery for each of its receivers, so there are mostly fewer of them."""
    return f"deliveries ended; {events:,} {'event' if events == 1 else 'events'} emitted"


def _card(name: str, value: str, text: str, *, bad: object = False, url: str = "") -> dict[str, Any]:
    return {"name": name, "value": value, "text": text, "bad": bool(bad), "url": url}


def _queue(queue: QueueHealth) -> dict[str, Any]:
    return {
        "name": queue.name,
        "url": list_of(Delivery, queue=queue.name),
        "paused": queue.paused,
        "depth": "?" if queue.depth is None else f"{queue.depth:,}",
        "workers": f"{queue.workers} ({queue.processes})" if queue.workers else "none",
        "unserved": not queue.workers,
        "unfinished": measures.at_least(queue.unfinished, more=queue.more),
        "states": f"{queue.waiting:,} waiting, {queue.sent:,} sent, {queue.running:,} running",
        "clear": _clear(queue),
        "rate": measures.rate(queue.per_minute),
        "wait": measures.several(queue.wait),
        "run": measures.several(queue.run),
        "spark": charts.spark(queue.by_minute, queue.name),
    }


def _clear(queue: QueueHealth) -> str:
    if not queue.unfinished:
        return "–"
    if queue.clear_in is None:
        return "at no pace"
    return f"> {measures.span(queue.clear_in)}" if queue.more else measures.span(queue.clear_in)


def _receiver(receiver: ReceiverHealth) -> dict[str, Any]:
    return {
        "name": receiver_name(receiver.name),
        "queue": receiver.queue,
        "paused": receiver.paused,
        "url": list_of(Delivery, receiver=receiver.name),
        "rate": measures.rate(receiver.per_minute),
        "ended": f"{receiver.ended:,}",
        "share": measures.percent(receiver.failure_share),
        "fails": bool(receiver.failure_share),
        "slowest": measures.milliseconds(receiver.slowest_ms) if receiver.ended else "–",
        "run": measures.milliseconds(receiver.run[1]),
        "retrying": receiver.retrying,
        "dead": receiver.dead,
    }
