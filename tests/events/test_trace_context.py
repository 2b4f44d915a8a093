"""The envelope's `traceparent`: from a request's header to the worker, and to what is caused there."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from events import Event
from events.envelope import decode
from events.middleware import trace_context
from events.models import EventRecord
from events.testing import CapturedEvents, captured_events, drain
from tests.events.conftest import Offloaded

pytestmark = pytest.mark.django_db

asked = Event("tests.asked")
answered = Event("tests.answered")
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
seen: list[str | None] = []


def view(request: HttpRequest) -> HttpResponse:
    asked.send(sender=None)
    return HttpResponse()


async def async_view(request: HttpRequest) -> HttpResponse:
    await asked.asend(sender=None)
    return HttpResponse()


def answer(sender: Any, event: Any, **kwargs: Any) -> None:
    seen.append(event.traceparent)
    answered.send(sender=None)


def ignore(sender: Any, **kwargs: Any) -> None: ...


def parents(events: CapturedEvents) -> list[str | None]:
    return [event.envelope.traceparent or None for event in events]


def test_request__what_it_emits_is_of_its_trace_and_what_comes_after_is_not(
    offloaded: Offloaded, rf: RequestFactory
) -> None:
    offloaded(ignore, asked)
    with captured_events() as events:
        trace_context(view)(rf.get("/", headers={"traceparent": PARENT}))
        asked.send(sender=None)
    assert parents(events) == [PARENT, None]


def test_async_request__too(offloaded: Offloaded, async_rf: AsyncRequestFactory) -> None:
    offloaded(ignore, asked)
    with captured_events() as events:
        async_to_sync(trace_context(async_view))(async_rf.get("/", headers={"traceparent": PARENT}))
    assert parents(events) == [PARENT]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        PARENT.upper(),
        PARENT + "\n",
        "ff" + PARENT[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        PARENT * 1000,
    ],
)
def test_request__header_that_is_none_is_left_out(
    offloaded: Offloaded, rf: RequestFactory, header: str
) -> None:
    offloaded(ignore, asked)
    with captured_events() as events:
        trace_context(view)(rf.get("/", HTTP_TRACEPARENT=header))
    assert parents(events) == [None]


def test_receiver__knows_the_trace_and_what_it_emits_is_of_it(
    offloaded: Offloaded, rf: RequestFactory
) -> None:
    offloaded(answer, asked)
    offloaded(ignore, answered)
    seen.clear()
    trace_context(view)(rf.get("/", headers={"traceparent": PARENT}))
    drain()
    assert seen == [PARENT]
    caused = EventRecord.objects.get(type="tests.answered")
    assert decode(caused.envelope).traceparent == PARENT


def test_request__all_that_it_emits_is_of_one_correlation_and_what_comes_after_is_not(
    offloaded: Offloaded, rf: RequestFactory
) -> None:
    offloaded(answer, asked)
    offloaded(ignore, answered)

    def twice(request: HttpRequest) -> HttpResponse:
        asked.send(sender=None)
        return view(request)

    trace_context(twice)(rf.get("/"))
    trace_context(view)(rf.get("/"))
    asked.send(sender=None)
    drain()
    stories = list(EventRecord.objects.order_by("pk").values_list("type", "correlation_id"))
    assert [type for type, _ in stories] == ["tests.asked"] * 4 + ["tests.answered"] * 4
    first, second, third, alone, *caused = [correlation for _, correlation in stories]
    assert first == second
    assert len({first, third, alone}) == 3
    # What a worker caused is of the same story.
    assert sorted(caused, key=str) == sorted([first, first, third, alone], key=str)
