"""OpenTelemetry: the worker's span belongs to the request's trace. With the SDK's own exporter in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from events import Backoff, Event, telemetry
from events.envelope import decode
from events.middleware import trace_context
from events.models import Delivery, EventRecord, State
from events.testing import Drained, drain
from tests.events.conftest import Offloaded

pytestmark = pytest.mark.django_db(transaction=True)

asked = Event("tests.telemetry_asked")
answered = Event("tests.telemetry_answered")
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def answer(sender: Any, **kwargs: Any) -> None:
    answered.send(sender=None)


def listen(sender: Any, **kwargs: Any) -> None: ...


def listen_to_many(occurrences: list[Any]) -> None: ...


def fail(sender: Any, **kwargs: Any) -> None:
    raise ValueError("no answer")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # As `set_tracer_provider` would for the whole life of the process.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def of(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    [span] = [span for span in exporter.get_finished_spans() if span.name.endswith(name)]
    return span


def requested() -> ReadableSpan:
    with trace.get_tracer("web").start_as_current_span("GET /") as span:
        asked.send(sender=None)
    assert isinstance(span, ReadableSpan)
    return span


def test_worker__its_span_is_a_child_of_the_requests(
    offloaded: Offloaded, spans: InMemorySpanExporter
) -> None:
    offloaded(listen, asked)
    request = requested()
    drain()
    run = of(spans, "listen")
    assert run.name == f"{__name__}.listen"
    assert run.kind is trace.SpanKind.CONSUMER
    assert run.context.trace_id == request.context.trace_id
    assert run.parent is not None
    assert run.parent.span_id == request.context.span_id
    assert [link.context.span_id for link in run.links] == [request.context.span_id]


def test_worker__what_a_receiver_causes_is_of_the_same_trace(
    offloaded: Offloaded, spans: InMemorySpanExporter
) -> None:
    offloaded(answer, asked)
    offloaded(listen, answered)
    request = requested()
    drain()
    first, second = of(spans, "answer"), of(spans, "listen")
    assert second.context.trace_id == first.context.trace_id == request.context.trace_id
    assert second.parent is not None
    assert second.parent.span_id == first.context.span_id


def test_span__says_which_event_it_was(offloaded: Offloaded, spans: InMemorySpanExporter) -> None:
    offloaded(listen, asked)
    requested()
    drain()
    event = EventRecord.objects.get()
    said = dict(of(spans, "listen").attributes or {})
    assert said["messaging.message.id"] == str(event.pk)
    assert said["messaging.message.conversation_id"] == str(event.correlation_id)
    assert said["events.type"] == "tests.telemetry_asked"
    assert said["events.receiver"] == f"{__name__}.listen"


def test_batch__its_span_is_linked_to_each_of_its_events(
    offloaded: Offloaded, spans: InMemorySpanExporter
) -> None:
    offloaded(listen_to_many, asked, many=True)
    with transaction.atomic():
        requests = [requested() for _ in range(3)]
    drain()
    run = of(spans, "listen_to_many")
    assert run.parent is None
    assert {link.context.span_id for link in run.links} == {span.context.span_id for span in requests}
    assert (run.attributes or {})["messaging.batch.message_count"] == 3


def test_failure__is_on_the_span(offloaded: Offloaded, spans: InMemorySpanExporter) -> None:
    offloaded(fail, asked, retry=Backoff(tries=1))
    requested()
    drain()
    run = of(spans, "fail")
    assert run.status.status_code is trace.StatusCode.ERROR
    assert any(event.name == "exception" for event in run.events)


class Failing(SpanProcessor):
    """A project's own."""

    def __init__(self, method: str) -> None:
        setattr(self, method, self._fail)

    def _fail(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no exporter")


@pytest.mark.parametrize("method", ["on_start", "on_end"])
@pytest.mark.parametrize("atomic", [True, False])
def test_telemetry_that_fails__is_no_failure_of_the_receiver(
    offloaded: Offloaded,
    spans: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
    method: str,
    atomic: bool,
) -> None:
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(Failing(method))
    offloaded(listen, asked, atomic=atomic)
    offloaded(fail, asked, atomic=atomic, retry=Backoff(tries=1))
    asked.send(sender=None)
    assert drain() == Drained(done=1, dead=1)
    assert "ValueError: no answer" in Delivery.objects.get(state=State.DEAD).error
    assert "events.telemetry" in caplog.text


def test_no_span_is_open__the_requests_header_is_carried(
    offloaded: Offloaded, spans: InMemorySpanExporter, rf: RequestFactory
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        asked.send(sender=None)
        return HttpResponse()

    offloaded(listen, asked)
    trace_context(view)(rf.get("/", headers={"traceparent": PARENT}))
    drain()
    assert decode(EventRecord.objects.get().envelope).traceparent == PARENT
    assert f"{of(spans, 'listen').context.trace_id:032x}" == PARENT.split("-")[1]


def test_nobody_has_set_it_up__nothing_is_asked() -> None:
    assert telemetry.IS_INSTALLED
    assert not telemetry.is_on()
    assert telemetry.traceparent() is None


def test_set_up_by_a_name_that_is_nobodys__emits_and_runs_without(
    offloaded: Offloaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "nobodys")
    offloaded(listen, asked)
    asked.send(sender=None)
    assert drain().done == 1


def test_not_installed__all_goes_on(offloaded: Offloaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "IS_INSTALLED", False)
    offloaded(listen, asked)
    asked.send(sender=None)
    assert drain().done == 1
