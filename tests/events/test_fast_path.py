"""Which events the emitter publishes by itself, and which it leaves to the relay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from pytest_django import Settings

from events import pauses, transport
from events.conf import settings
from events.fast_path import fast_path
from events.ids import uuid7
from events.models import EventRecord, PausedReceiver
from events.outbox import Content, Emission
from project.dev.broker import Broker
from tests import brokers
from tests.processes.conftest import wait_for
from tests.shop.models import Item
from tests.shop.receivers import mail_save, record_save

pytestmark = pytest.mark.django_db(transaction=True)

BY_ITSELF = [f"{function.__module__}.{function.__qualname__}" for function in (record_save, mail_save)]


@pytest.fixture(autouse=True)
def healthy(broker: Broker) -> Iterator[None]:
    brokers.empty(broker)
    fast_path.finish()
    fast_path.depths.forget()
    wait_for(fast_path.flows, "the breaker to close")
    yield
    fast_path.depths.forget()


def published() -> list[str]:
    """Of one more save: the receivers whose messages its emitter publishes."""
    with transaction.atomic():
        Item.objects.create(title="one")
    names: list[str] = EventRecord.objects.latest("pk").published
    return names


def test_long_queue__is_left_to_the_relay_until_it_is_short_again(broker: Broker) -> None:
    brokers.fill(broker, "default", settings.WINDOW)
    wait_for(lambda: published() == BY_ITSELF[1:], "a queue seen to be long")
    brokers.empty(broker, "default", "audit")
    wait_for(lambda: published() == BY_ITSELF, "a queue seen to be short")


def test_only_queue_is_long__is_seen_to_become_short_though_nothing_is_published(broker: Broker) -> None:
    for queue in ("default", "audit"):
        brokers.fill(broker, queue, settings.WINDOW)
    wait_for(lambda: published() == [], "both queues seen to be long")
    brokers.empty(broker)
    wait_for(lambda: published() == BY_ITSELF, "both queues seen to be short")


def test_long_queue__is_seen_to_become_short_though_others_are_published_into_meanwhile(
    broker: Broker,
) -> None:
    brokers.fill(broker, "default", settings.WINDOW)
    wait_for(lambda: published() == BY_ITSELF[1:], "a queue seen to be long")
    # On a slow machine it is asked about again by now: before it is empty.
    assert fast_path.finish()
    brokers.empty(broker)
    measured = fast_path.depths._known["default"].measured
    wait_for(lambda: time.monotonic() - measured > 0.2, "the measurement to be old")
    # All of it, the question included, in one round trip.
    with fast_path.courier.talking:
        fast_path.courier.take(("emails",))
        wait_for(lambda: not fast_path.courier._waiting, "the thread to wait for us")
        assert published() == BY_ITSELF[1:]
    assert fast_path.finish()
    assert fast_path.depths.of("default") == 0


@brokers.about_redis
def test_broker__is_not_asked_for_what_it_has_said(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    measure = fast_path.depths.measure
    monkeypatch.setattr(fast_path.depths, "measure", lambda queue: asked.append(queue) or measure(queue))
    for commits in range(1, 8):
        assert published() == BY_ITSELF
        assert fast_path.finish()
        assert [fast_path.depths.of(queue) for queue in ("default", "audit")] == [commits, commits]
    assert asked == []


def test_pause_of_all_receivers__is_seen_to_end_though_nothing_is_published() -> None:
    for name in BY_ITSELF:
        PausedReceiver.objects.create(name=name)
    wait_for(lambda: published() == [], "a pause of both")
    PausedReceiver.objects.all().delete()
    wait_for(lambda: published() == BY_ITSELF, "the end of the pause")
    pauses._known.clear()


def test_pauses__are_read_before_the_courier_has_work(monkeypatch: pytest.MonkeyPatch) -> None:
    order = []

    def noted(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*args: Any) -> Any:
            order.append(what)
            return function(*args)

        return noting

    monkeypatch.setattr(pauses, "current", noted("read", pauses.current))
    monkeypatch.setattr(fast_path.courier, "take", noted("taken", fast_path.courier.take))
    assert published() == BY_ITSELF
    assert order == ["read", "taken"]


def test_pauses_that_cannot_be_read__are_no_reason_not_to_publish(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(execute: Any, sql: str, *others: Any) -> Any:
        if PausedReceiver._meta.db_table in sql:
            raise OperationalError("away")
        return execute(sql, *others)

    pauses._known.clear()
    with connection.execute_wrapper(refused):
        assert published() == BY_ITSELF
    assert fast_path.finish()
    assert "events.fast_path remedy" in caplog.text
    assert brokers.waiting(broker, "default") == 1


def test_receiver_disconnected_since_the_commit__is_left_to_the_relay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    id = uuid7()
    emission = Emission.written(Content(id, "shop.gone", "", id, None, "{}"), {"gone": "default"})
    # Its receiver was disconnected between the commit's INSERT and now.
    emission.published = ["gone"]
    fast_path.publish([emission], "default")
    assert fast_path.finish()
    assert "events.fast_path receiver=gone remedy='the relay publishes what waits'" in caplog.text
    assert fast_path.flows()


def test_commits_that_meet_on_their_way__share_a_message_for_each_receiver(
    broker: Broker, settings: Settings
) -> None:
    # However slow this machine: late ones would be left to the relay.
    settings.EVENTS = settings.EVENTS | {"PUBLISH_TIMEOUT": 3600.0}
    wait_for(lambda: published() == BY_ITSELF and fast_path.finish(), "a publish")
    brokers.empty(broker)
    with fast_path.courier.talking:
        fast_path.courier.take(("emails",))
        wait_for(lambda: not fast_path.courier._waiting, "the thread to wait for us")
        for _ in range(5):
            published()
    assert fast_path.finish()
    assert [transport.look(queue).depth for queue in ("default", "audit")] == [1, 1]
    assert [len(transport.look(queue).ids or ()) for queue in ("default", "audit")] == [5, 5]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """However slow this machine, commits meet, and what waits for a queue waits long."""
    settings.EVENTS = settings.EVENTS | {"PUBLISH_TIMEOUT": 3600.0}
    monkeypatch.setattr("events.depths._LONE", 3600.0)
    monkeypatch.setattr("events.fast_path._LONGEST", 3600.0)


def saved_beside_enough(broker: Broker, commits: int) -> None:
    """Commits, where one queue has messages enough in it and the other none."""
    published()
    assert fast_path.finish()
    brokers.empty(broker)
    brokers.fill(broker, "default", 20)
    fast_path.depths.measure("default")
    for _ in range(commits):
        assert published() == BY_ITSELF


@pytest.mark.usefixtures("patient")
def test_queue_with_enough_in_it__commits_wait_for_it_and_share_a_message(broker: Broker) -> None:
    saved_beside_enough(broker, 5)
    wait_for(lambda: len(transport.look("audit").ids or ()) == 5, "the other queue's messages")
    assert transport.look("default").depth == 20
    brokers.empty(broker)
    wait_for(lambda: transport.look("default").depth, "its message")
    assert [(look.depth, len(look.ids or ())) for look in [transport.look("default")]] == [(1, 5)]


@pytest.mark.usefixtures("patient")
def test_queue_with_enough_in_it__who_waits_for_the_end_does_not_wait_for_it(broker: Broker) -> None:
    saved_beside_enough(broker, 5)
    assert fast_path.finish()
    assert len(transport.look("default").ids or ()) == 5


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("constant", "seconds"),
    [
        # What came waits no longer.
        ("events.fast_path._LONGEST", 0.1),
        # It came alone, and has nothing to wait for.
        ("events.depths._LONE", 0.0),
    ],
)
def test_queue_with_enough_in_it__a_message_goes_behind_the_others_after_a_while_or_at_once_where_it_is_alone(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, constant: str, seconds: float
) -> None:
    monkeypatch.setattr(constant, seconds)
    saved_beside_enough(broker, 1)
    wait_for(lambda: transport.look("default").depth == 21, "its message, behind all others")


def test_suspended__waits_for_what_is_on_its_way(broker: Broker) -> None:
    wait_for(lambda: published() == BY_ITSELF and fast_path.finish(), "a publish")
    with fast_path.suspended():
        depth = transport.depth("default", 1.0)
        assert depth > 0
        assert published() == []
        assert transport.depth("default", 1.0) == depth
