"""`Event`: fields are checked where it is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError
from django.dispatch import Signal
from pytest_django import Settings

import events
from events import Event, InvalidEvent, NotSerializable, register_serializer
from events.models import EventRecord
from events.serializers.registry import serializers
from events.testing import Drained, captured_events, drain
from tests.events.conftest import Offloaded
from tests.shop.models import Effect, Item

opened = Event("shop.opened", item=Item, note=str)
anything = Event()
plain = Signal()
Send = Callable[..., Any]


def receive(sender: Any, event: Any, **kwargs: Any) -> None:
    Effect.objects.create(
        receiver="receive", key=event.idempotency_key, note=f"{event.type} v{event.version}"
    )


def refuse_condition(sender: Any, **kwargs: Any) -> bool:
    raise LookupError("the condition itself fails")


class Robot:
    pass


def sends() -> list[Any]:
    """Every way to send: what one refuses all refuse."""
    return [
        pytest.param(lambda signal: signal.send, id="send"),
        pytest.param(lambda signal: signal.send_robust, id="send_robust"),
        pytest.param(lambda signal: async_to_sync(signal.asend), id="asend"),
        pytest.param(lambda signal: async_to_sync(signal.asend_robust), id="asend_robust"),
    ]


every_send = pytest.mark.parametrize("way", sends())


@every_send
def test_send__unknown_field(way: Send) -> None:
    with pytest.raises(InvalidEvent) as caught:
        way(opened)(sender=Item, item=Item(), note="", amount=3)
    assert str(caught.value) == "<Event shop.opened> has no field 'amount'; it has item, note."


@every_send
def test_send__missing_field(way: Send) -> None:
    with pytest.raises(InvalidEvent) as caught:
        way(opened)(sender=Item, note="")
    assert str(caught.value) == "<Event shop.opened> needs the field 'item': send(sender=…, item=…)."


@every_send
def test_send__wrong_type(way: Send) -> None:
    with pytest.raises(InvalidEvent) as caught:
        way(opened)(sender=Item, item=Item(), note=5)
    assert str(caught.value) == "<Event shop.opened>: 'note' must be str, got int 5."


@every_send
def test_send__fields_by_position(way: Send) -> None:
    with pytest.raises(InvalidEvent) as caught:
        way(opened)(Item, None, Item(), "")
    assert str(caught.value) == "<Event shop.opened>: fields are given by name: send(sender=…, field=…)."


@every_send
@pytest.mark.django_db
def test_send__what_cannot_travel_names_argument_and_remedy(offloaded: Offloaded, way: Send) -> None:
    offloaded(receive, anything)
    with captured_events() as captured, pytest.raises(NotSerializable) as caught:
        way(anything)(sender=None, robot=Robot())
    assert "'robot'" in str(caught.value)
    assert "tests.events.test_signals.Robot" in str(caught.value)
    assert "register_serializer" in str(caught.value)
    assert len(captured) == 0


@every_send
@pytest.mark.django_db
def test_send__unsaved_instance_names_argument_and_remedy(offloaded: Offloaded, way: Send) -> None:
    offloaded(receive, opened)
    with pytest.raises(NotSerializable, match=r"'item'.*shop\.Item has no primary key.*save it before"):
        way(opened)(sender=Item, item=Item(title="unsaved"), note="")


@every_send
@pytest.mark.django_db
def test_send__failing_condition_is_the_senders_to_know(offloaded: Offloaded, way: Send) -> None:
    offloaded(receive, anything, when=refuse_condition)
    with pytest.raises(LookupError, match="the condition itself fails"):
        way(anything)(sender=None)


@pytest.mark.django_db
def test_send_robust__event_that_could_not_be_stored_is_the_senders_to_know(offloaded: Offloaded) -> None:
    from django.db import connection

    offloaded(receive, anything)

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        # Whatever it is: PostgreSQL's COPY goes past here, but for the question before it.
        raise DatabaseError("disk full")

    for _ in range(499):  # the 500th writes them all
        anything.send_robust(sender=None)
    with connection.execute_wrapper(fail), pytest.raises(DatabaseError, match="disk full"):
        anything.send_robust(sender=None)
    connection.needs_rollback = False
    connection.events_journal.discard()  # type: ignore[attr-defined]  # not to be written by another test


@every_send
@pytest.mark.django_db
def test_send__reaches_receivers_here_and_on_the_worker(offloaded: Offloaded, way: Send) -> None:
    offloaded(receive, opened)
    heard: list[Any] = []

    def hear(sender: Any, item: Item, note: str, **kwargs: Any) -> str:
        heard.append((sender, item, note))
        return "answer"

    opened.connect(hear)
    item = Item.objects.create(title="one")
    drain()
    answers = way(opened)(sender=Item, item=item, note="first")
    opened.disconnect(hear)
    assert (hear, "answer") in answers
    assert heard == [(Item, item, "first")]
    assert drain() == Drained(done=1)
    assert Effect.objects.get(receiver="receive").note == "shop.opened v1"


@pytest.mark.django_db
def test_send__registered_type_travels(offloaded: Offloaded) -> None:
    offloaded(receive, anything)
    register_serializer(Robot, name="robot", dump=repr, load=lambda _: Robot())
    try:
        with captured_events() as captured:
            anything.send(sender=None, robot=Robot())
    finally:
        serializers.remove(Robot)
    assert isinstance(captured[0].arguments["robot"], Robot)


@pytest.mark.django_db
def test_robust_send__others_still_run_and_their_errors_are_answers(
    offloaded: Offloaded, caplog: pytest.LogCaptureFixture
) -> None:
    offloaded(receive, anything)
    heard: list[str] = []

    def fails(**kwargs: Any) -> None:
        raise ZeroDivisionError

    def hears(**kwargs: Any) -> None:
        heard.append("yes")

    anything.connect(fails)
    anything.connect(hears)
    with captured_events() as captured:
        answers = dict(anything.send_robust(sender=None))
    anything.disconnect(fails)
    anything.disconnect(hears)
    assert isinstance(answers[fails], ZeroDivisionError)
    assert heard == ["yes"]
    assert len(captured) == 1
    assert [record.name for record in caplog.records] == ["django.dispatch"]


# What is emitted


@pytest.mark.django_db
def test_emitted__version_is_in_the_envelope_and_with_the_receiver(offloaded: Offloaded) -> None:
    second = Event("shop.second", version=2, note=str)
    offloaded(receive, second)
    with captured_events() as captured:
        second.send(note="x")
    assert captured[0].envelope.schemaversion == 2
    drain()
    assert Effect.objects.get().note == "shop.second v2"


@pytest.mark.django_db
def test_emitted__using_travels_and_names_the_outbox(offloaded: Offloaded) -> None:
    offloaded(receive, opened)
    item = Item.objects.create(title="one")
    with captured_events() as captured:
        opened.send(sender=Item, using="default", item=item, note="")
        opened.send(sender=Item, item=item, note="")
    assert [event.arguments.get("using") for event in captured] == ["default", None]


@pytest.mark.django_db
def test_emitted__secrets_of_an_undeclared_event_stay_at_home(offloaded: Offloaded) -> None:
    offloaded(receive, anything)
    with captured_events() as captured:
        anything.send(sender=None, password="hunter2-planted", nested={"api_token": "tok-planted", "a": 1})
    assert "planted" not in captured[0].emission.envelope
    assert captured[0].arguments == {"nested": {"a": 1}}
    assert captured[0].envelope.data["withheld"] == ["password"]


@pytest.mark.django_db
def test_plain_signal__offloaded(offloaded: Offloaded) -> None:
    offloaded(receive, plain)
    with captured_events() as captured:
        plain.send(sender=Item, amount=Decimal("1.50"), at=date(2026, 1, 2))
    captured.assert_emitted(plain, amount=Decimal("1.50"), at=date(2026, 1, 2))
    assert captured[0].type == f"{__name__}.plain"
    assert drain() == Drained(done=1)


def test_plain_signal__is_named_where_it_is_defined_whoever_imports_it() -> None:
    from events.signal_names import signal_name
    from tests.shop import receivers, signals

    assert receivers.plain is signals.plain
    assert signal_name(signals.plain) == "tests.shop.signals.plain"


@pytest.mark.django_db(databases=["default", "other"])
def test_emitted__into_the_outbox_of_its_database(offloaded: Offloaded, settings: Settings) -> None:
    settings.EVENTS = {**settings.EVENTS, "DATABASES": ["default", "other"]}
    offloaded(receive, anything)
    anything.send(sender=None, using="other")
    anything.send(sender=None, using="other")
    anything.send(sender=None)
    assert drain() == Drained(done=3)
    assert EventRecord.objects.using("other").count() == 2
    assert EventRecord.objects.using("default").count() == 1


@pytest.mark.django_db
@every_send
def test_using__that_is_no_alias_is_an_argument_like_any_other(way: Send, offloaded: Offloaded) -> None:
    offloaded(receive, anything)
    way(anything)(sender=None, using=["card", "voucher"])
    assert drain() == Drained(done=1)


@pytest.mark.django_db
def test_plain_signal__what_cannot_travel_raises_at_send(offloaded: Offloaded) -> None:
    offloaded(receive, plain)
    with pytest.raises(NotSerializable, match="'robot'"):
        plain.send(sender=Item, robot=Robot())


def test_event_without_offloaded_receivers__takes_what_cannot_travel() -> None:
    # A drop-in Signal: only what has to travel is asked to.
    assert Event("shop.local", robot=Robot).send(robot=Robot()) == []


def test_package__says_what_it_lacks() -> None:
    with pytest.raises(AttributeError, match="module 'events' has no attribute 'onload'"):
        events.onload  # noqa: B018 -- the access is the test
