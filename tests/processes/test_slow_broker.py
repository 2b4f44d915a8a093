"""A broker that answers, but slowly: the request waits once, as for one that doesn't."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from django.db import transaction

from events import transport
from events.fast_path import fast_path
from events.models import EventRecord
from project.celery import app
from project.dev.broker import Broker
from tests.processes.conftest import wait_for
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


class Slow:
    """Between us and the broker; its answers take `delay` seconds longer. None: it never answers."""

    def __init__(self, port: int) -> None:
        self.delay: float | None = 0.0
        self.port = port
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours = self.server.accept()[0]
                theirs = socket.create_connection(("127.0.0.1", self.port))
                threading.Thread(target=self._pass, args=(ours, theirs, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(theirs, ours, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError), source, target:
            while data := source.recv(65536):
                while answers and self.delay is None:
                    time.sleep(0.01)
                time.sleep(self.delay if answers and self.delay else 0)
                target.sendall(data)


@pytest.fixture
def slow(broker: Broker) -> Iterator[Slow]:
    before = app.conf.broker_url
    proxy = Slow(int(before.rsplit(":", 1)[1].split("/")[0]))
    app.conf.broker_url = f"redis://127.0.0.1:{proxy.server.getsockname()[1]}/0"
    transport.reset()
    app._pool = None
    yield proxy
    proxy.delay = 0.0
    wait_for(fast_path.breaker.is_closed, "the breaker to close")
    app.conf.broker_url = before
    app._pool = None
    transport.reset()
    proxy.server.close()


def save() -> None:
    with transaction.atomic():
        Item.objects.create(title="one")


def warm_up() -> None:
    """A process's first publish connects, and a new connection takes a dozen answers: it is not judged."""
    wait_for(lambda: (save(), fast_path.breaker.is_closed())[1], "a publish in time")


@pytest.mark.parametrize("delay", [None, 0.12, 0.15, 0.19])
def test_slow_broker__opens_the_breaker_at_once(
    slow: Slow, delay: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    warm_up()
    caplog.clear()
    slow.delay = delay
    save()
    assert any("events.breaker state=open" in record.getMessage() for record in caplog.records)


def test_hung_broker__while_the_breaker_is_open_commits_leave_all_to_the_relay(slow: Slow) -> None:
    warm_up()
    slow.delay = None
    save()
    before = set(EventRecord.objects.values_list("pk", flat=True))
    for _ in range(5):
        save()
    later = EventRecord.objects.exclude(pk__in=before)
    assert [event.published for event in later] == [[]] * 5
