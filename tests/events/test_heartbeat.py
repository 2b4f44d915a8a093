"""What keeps a worker from giving signs of life, though it lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state as celery_state
from django.db import connection, connections
from pytest_django import Settings

from events.delivery.trouble import repeated
from events.forking import not_forking_relay
from events.identity import who
from events.message import named
from events.models import Worker
from events.worker.heartbeat import TICK, Heartbeat
from events.worker.request import unstored
from tests.events.test_locks import elsewhere

pytestmark = pytest.mark.django_db(transaction=True)

ID = "0192f0c1-2345-7abc-8def-0123456789ab"


def beating(condition: Callable[[], object]) -> bool:
    heartbeat = Heartbeat(queues=["default"], processes=1)
    heartbeat.start()
    end = time.monotonic() + 20
    try:
        while time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.02)
        return False
    finally:
        heartbeat.stop()


def test_heartbeat__beats_while_the_relay_waits_for_its_broker() -> None:
    holding, end = threading.Event(), threading.Event()

    def hang() -> None:
        with not_forking_relay:
            holding.set()
            end.wait(30)

    relay = threading.Thread(target=hang)
    relay.start()
    holding.wait()
    try:
        assert beating(lambda: Worker.objects.filter(pk=who()).exists())
    finally:
        end.set()
        relay.join()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="elsewhere it locks rows, and each wait is limited")
def test_heartbeat__does_not_wait_long_for_who_holds_the_lock() -> None:
    """A fork waits for it, and who holds the lock may be a receiver that only the forking process ends."""
    stored = []

    class Lost:
        def store_result(self, error: Exception) -> None:
            stored.append(error)
            repeated("default", lambda: Worker.objects.create(pk="result"))

    unstored.put((Lost(), RuntimeError()))  # type: ignore[arg-type]
    try:
        with elsewhere(lambda: Worker.objects.create(pk="hangs")):
            assert beating(lambda: len(stored) > 1)
    finally:
        while not unstored.empty():
            unstored.get()


class Request(SimpleNamespace):
    __hash__ = object.__hash__


FORGED: list[Any] = [
    {"using": "default", "receiver": "r", "ids": ["no uuid"]},
    {"using": "default", "receiver": "r", "ids": 7},
    {"using": ["default"], "receiver": {}, "ids": [ID]},
    {"receiver": "r"},
]


@pytest.mark.parametrize("header", FORGED)
def test_heartbeat__forged_header_in_hand__still_beats_and_tells_the_rest(header: dict[str, Any]) -> None:
    true = Request(request_dict={"events": {"using": "default", "receiver": "true", "ids": [ID]}})
    forged = Request(request_dict={"events": header})
    celery_state.reserved_requests.update([true, forged])
    try:
        assert beating(lambda: Worker.objects.filter(pk=who(), held=[["true", ID]]).exists())
    finally:
        celery_state.reserved_requests.difference_update([true, forged])
        connection.close()


def test_named__whatever_a_header_says() -> None:
    assert [str(event) for _, event in named("r", [ID])] == [ID]
    for receiver, ids in ((None, [ID]), ("r", None), ("r", [1]), ("r", ["x"]), ("r", {}), ("r", ID)):
        assert named(receiver, ids) == []


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> str:
    """The alias of a database that no new connection reaches."""
    monkeypatch.setitem(connections.settings["other"], "NAME", "/nowhere/at/all.sqlite3")
    return "other"


BOTH = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@BOTH
def test_heartbeat__one_database_is_away__beats_on_the_others(gone: str, settings: Settings) -> None:
    settings.EVENTS = settings.EVENTS | {"DATABASES": [gone, "default"]}
    assert beating(Worker.objects.filter(pk=who()).exists)


@BOTH
def test_heartbeat__database_away_from_the_beginning__tries_once_a_second(
    gone: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EVENTS = settings.EVENTS | {"DATABASES": [gone]}
    started = time.monotonic()
    assert beating(lambda: sum("again in a second" in text for text in caplog.messages) >= 3)
    assert time.monotonic() - started >= 2 * TICK
