"""A receiver slower than what arrives, an event larger than it should be: a person is told, wherever they look."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from events.clock import after
from events.fast_path import fast_path
from events.models import Delivery, EventRecord, Queue, State, Worker
from events.operations.diagnosing import Finding, _behind, _large
from events.outbox import LARGE, large
from events.relay import behind
from tests.events.ageing import store
from tests.events.operating import run
from tests.events.plans import plans_of, reads_all
from tests.shop.models import Essay
from tests.shop.signals import told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def left_to_the_relay() -> Iterator[None]:
    large._told.clear()
    with fast_path.suspended():
        yield


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def waiting(seconds: float, queue: str = "default") -> None:
    """A delivery that is due for so long."""
    Queue.objects.get_or_create(name=queue)
    store(1, receivers={"tests.first": queue}, states=(State.WAITING,))
    Delivery.objects.filter(queue=queue).update(next_at=after(-seconds))


def sent(seconds: float, queue: str = "default", *, by_relay: bool = True) -> EventRecord:
    """A delivery whose message is in the broker for so long; by its emitter, right after the commit, else."""
    Queue.objects.get_or_create(name=queue)
    (event,) = store(1, receivers={"tests.first": queue}, states=(State.SENT,))
    EventRecord.objects.filter(pk=event.pk).update(emitted_at=after(-3600 if by_relay else -seconds))
    # It is looked for again and again, and found.
    event.deliveries.update(sent_at=after(-seconds) if by_relay else None, next_at=after(10))
    return event


def test_behind__is_a_queue_whose_oldest_delivery_is_due_for_long() -> None:
    waiting(600)
    waiting(10, queue="audit")
    # A retry that is not due yet waits for nobody.
    waiting(-3600, queue="emails")
    assert [late.queue for late in behind.behind("default")] == ["default"]


@pytest.mark.parametrize("by_relay", [True, False])
def test_behind__is_a_queue_whose_oldest_message_waits_in_the_broker_for_long(by_relay: bool) -> None:
    sent(600, by_relay=by_relay)
    sent(10, queue="audit", by_relay=by_relay)
    assert [late.queue for late in behind.behind("default")] == ["default"]
    (late,) = behind.behind("default")
    assert 600 <= late.waited.total_seconds() < 610
    assert "default falls behind: its oldest delivery was due 10 min ago" in run("status")
    assert [finding.level for finding in _behind("default")] == ["warning"]


def test_behind__what_a_worker_has_taken_does_not_wait() -> None:
    event = sent(600)
    Worker.objects.create(id="one", held=[["tests.first", str(event.pk)]])
    assert not list(behind.behind("default"))
    sent(400)
    (late,) = behind.behind("default")
    assert 400 <= late.waited.total_seconds() < 410


@pytest.mark.parametrize("how", [waiting, sent])
def test_behind__waits_by_the_clock_that_times_are_stored_by(
    settings: Settings, how: Callable[[float], object]
) -> None:
    settings.TIME_ZONE, settings.USE_TZ = "Asia/Tokyo", False
    how(1000)
    (late,) = behind.behind("default")
    assert 1000 <= late.waited.total_seconds() < 1010
    assert "default falls behind: its oldest delivery was due 17 min ago" in run("status")


def test_behind__a_paused_queue_is_not() -> None:
    waiting(600)
    Queue.objects.update(paused=True)
    assert not list(behind.behind("default"))


def test_relay__says_so_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    waiting(600)
    behind.tell("default")
    (record,) = [each for each in caplog.records if "events.behind" in each.message]
    assert record.levelno == logging.WARNING
    assert re.search(r"queue=default oldest_due_for=60\ds remedy=", record.message)


def test_status__says_so() -> None:
    waiting(600)
    said = run("status")
    assert "default falls behind: its oldest delivery was due 10 min ago" in said
    assert said.splitlines()[-1] == "Next: manage.py events doctor"
    due = {queue["name"]: queue["due_since"] for queue in json.loads(run("status", "--json"))[0]["queues"]}
    assert due.pop("default")
    assert not any(due.values())


def test_doctor__says_so() -> None:
    waiting(600)
    (finding,) = _behind("default")
    assert finding == Finding(
        "warning",
        "queue 'default' falls behind: its oldest delivery is due for 10 min",
        "Start more workers with -Q default, or make its receivers faster (many=True, atomic=True).",
    )


def test_admin__says_so(admin: Client) -> None:
    waiting(600)
    page = admin.get(reverse("admin:offload_queue_changelist")).content.decode()
    assert "it falls behind" in page


def test_behind__is_found_by_the_index_of_the_unfinished() -> None:
    waiting(600)
    sent(600)
    plans = plans_of(lambda: list(behind.behind("default")))
    asked = {sql: text for sql, text in plans.items() if re.search('FROM [`"]offload_delivery', sql)}
    assert len(asked) == 2
    # Of those that wait, or of all unfinished ones: as SQLite's statistics of an earlier test have it.
    assert all(re.search("offload_delivery_(due|turn)", text) for text in asked.values()), asked
    assert not any(reads_all(text) for text in asked.values()), asked


def test_large_event__is_told_once_for_each_type_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        told.send(text="x" * LARGE)
    (record,) = [each for each in caplog.records if "events.large" in each.message]
    assert record.levelno == logging.WARNING
    assert "type=shop.told characters=1000" in record.message


class Stored(logging.Handler):
    """As those that keep the log in the database."""

    def emit(self, record: logging.LogRecord) -> None:
        Queue.objects.create(name=record.getMessage()[:100])


def test_large_event__among_many_of_a_transaction__is_told_too__to_a_handler_that_stores_it() -> None:
    logger, handler = logging.getLogger("events"), Stored()
    logger.addHandler(handler)
    try:
        with transaction.atomic():
            for number in range(30):
                Essay.objects.create(text="x" * (LARGE if number == 20 else 10))
    finally:
        logger.removeHandler(handler)
    assert EventRecord.objects.count() == 30
    assert [name for name in Queue.objects.values_list("name", flat=True) if "events.large" in name]


def test_large_event__is_told_by_the_doctor() -> None:
    told.send(text="x" * 10)
    assert not list(_large("default"))
    told.send(text="x" * 2 * LARGE)
    (finding,) = _large("default")
    assert finding.level == "warning"
    assert finding.what == "an event of 'shop.told', among the last 1,000, has 2 MB"


def test_large_event__its_page_shows_where_it_begins(admin: Client) -> None:
    told.send(text="x" * 2 * LARGE)
    event = EventRecord.objects.get(type="shop.told")
    response = admin.get(reverse("admin:offload_eventrecord_change", args=[event.pk]))
    assert len(response.content) < LARGE / 2
    assert re.search(r"… and more: 2,000,\d{3} bytes in all", response.content.decode())
