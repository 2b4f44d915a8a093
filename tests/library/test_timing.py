from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from time import perf_counter

import pytest
from asgiref.sync import ThreadSensitiveContext
from django.test import AsyncClient, Client, RequestFactory

from library.receivers import timing
from tests.library import probe_urls

pytestmark = pytest.mark.urls("tests.library.probe_urls")


@pytest.fixture(autouse=True)
def fresh_events() -> Iterator[None]:
    yield
    probe_urls.release.set()  # whatever happened, nobody waits any longer
    probe_urls.entered.clear()
    probe_urls.release.clear()


@pytest.fixture
def finished(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger="library.requests"):
        yield caplog


def milliseconds_of(finished: pytest.LogCaptureFixture) -> dict[str, float]:
    """Route → milliseconds, of the requests that have finished."""
    lines = [record for record in finished.records if record.name == "library.requests"]
    return {record.args[1]: record.args[3] for record in lines}


def test_request_started__puts_a_clock_into_the_requests_own_environ() -> None:
    one, other = {}, {}
    timing.start_clock(environ=one)
    timing.start_clock(scope=other)
    assert one[timing.KEY] is not other[timing.KEY]


def test_clock_of__a_request_made_by_hand_has_one_too() -> None:
    request = RequestFactory().get("/")
    assert timing.clock_of(request) is timing.clock_of(request)


def test_request_finished__logs_method_route_and_status(finished: pytest.LogCaptureFixture) -> None:
    Client().post("/quick/?secret=1")
    (line,) = [record.getMessage() for record in finished.records if record.name == "library.requests"]
    assert line.startswith("request finished method=POST route=quick/ status=200 milliseconds=")


def test_request_finished__without_a_request_of_ours_says_nothing(finished: pytest.LogCaptureFixture) -> None:
    timing.stop_clock()
    assert not milliseconds_of(finished)


def test_timing__threads_side_by_side_keep_their_own_clocks(finished: pytest.LogCaptureFixture) -> None:
    slow = threading.Thread(target=Client().get, args=["/wait/"])
    slow.start()
    assert probe_urls.entered.wait(20)
    since = perf_counter()
    for _ in range(5):
        Client().get("/quick/")
    at_least = (perf_counter() - since) * 1000
    probe_urls.release.set()
    slow.join(20)
    # With a clock shared between requests, the last quick one would have set it anew.
    assert milliseconds_of(finished)["wait/"] >= at_least > milliseconds_of(finished)["quick/"]


def test_timing__async_requests_side_by_side_keep_their_own_clocks(
    finished: pytest.LogCaptureFixture,
) -> None:
    async def get(path: str) -> None:
        # As the ASGI handler does: without it, requests would share one thread for their synchronous middleware.
        async with ThreadSensitiveContext():
            await AsyncClient().get(path)

    async def story() -> float:
        slow = asyncio.create_task(get("/wait-async/"))
        async with asyncio.timeout(20):
            while not probe_urls.entered.is_set():
                await asyncio.sleep(0)
            since = perf_counter()
            for _ in range(5):
                await get("/quick/")
            waited = (perf_counter() - since) * 1000
            probe_urls.release.set()
            await slow
        return waited

    at_least = asyncio.run(story())
    assert milliseconds_of(finished)["wait-async/"] >= at_least > milliseconds_of(finished)["quick/"]
