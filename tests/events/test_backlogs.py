"""Much at once: in bounded batches, and nobody waits until all of it is looked at."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from events import transport
from events.delivery import portions as portions_module
from events.delivery.consuming import consume
from events.delivery.decoding import Item
from events.delivery.portions import portions
from events.delivery.tally import Tally
from events.fast_path import fast_path
from events.ids import uuid7
from events.message import Message
from events.models import IS_UNFINISHED, Delivery, EventRecord, Worker
from events.registry import registry
from events.relay import slices
from events.relay.feeding import feed
from events.relay.loop import _SOONEST, Relay
from events.relay.materialising import BATCH, batch, materialise
from events.relay.pacing import Fed
from events.relay.rounds import Round, turn
from project.dev.broker import Broker
from tests import brokers
from tests.events.ageing import old, store
from tests.shop.models import Effect
from tests.shop.signals import told

pytestmark = pytest.mark.django_db(transaction=True)

MEASURE = "tests.shop.receivers.measure_text"


@pytest.fixture(autouse=True)
def left_to_the_relay() -> Iterator[None]:
    with fast_path.suspended():
        yield


def tell(*sizes: int) -> None:
    for size in sizes:
        told.send(text="x" * size)


def fed() -> list[Message]:
    while materialise("default", frozenset()):
        pass
    messages: list[Message] = []
    feed("default", "default", 99, frozenset(registry.names()), messages.extend)
    return messages


def test_relay_that_wakes_to_a_backlog__sends_in_its_first_round(broker: Broker) -> None:
    brokers.empty(broker)
    store(BATCH * 3, receivers={MEASURE: "default"}, states=(), next_at=old())
    Worker.objects.create(id="one", queues=["default"], receivers=[MEASURE])
    most = batch("default")
    done = turn("default")
    assert done.materialised == most <= BATCH
    assert done.messages > 0
    assert done.more
    assert EventRecord.objects.filter(next_at__isnull=False).count() == BATCH * 3 - most
    # A window of it, however much waits.
    assert transport.look("default").depth <= 8
    # How many rounds fill it depends on how many events a quarter of a second allows.
    assert any(turn("default").fed["default"].room == 0 for _ in range(20))
    assert transport.look("default").depth == 8


def test_look__sees_every_message_of_a_long_queue(broker: Broker) -> None:
    brokers.empty(broker)
    ids = [str(uuid7()) for _ in range(100)]
    messages = [
        Message(receiver=MEASURE, queue="default", using="default", ids=(id,), envelopes=("",), attempts=(1,))
        for id in ids
    ]
    transport.publish(messages)
    look = transport.look("default")
    assert (look.depth, look.relayed) == (100, 100)
    assert look.ids == {(MEASURE, id) for id in ids}


def test_message__carries_what_has_room_in_it_and_names_the_rest(settings: Settings) -> None:
    settings.EVENTS = settings.EVENTS | {"MAX_INLINE_BYTES": 2_000}
    tell(*[1_500] * 20, 5_000, 10)
    (message,) = fed()
    assert len(message.ids) == 22
    assert 0 < sum(map(len, message.envelopes)) <= 8_000
    assert consume(message) == Tally(done=22)
    assert list(Effect.objects.order_by("pk").values_list("note", flat=True)) == ["1500"] * 20 + [
        "5000",
        "10",
    ]


def test_message__large_envelopes_are_not_even_read_for_it(settings: Settings) -> None:
    settings.EVENTS = settings.EVENTS | {"MAX_INLINE_BYTES": 2_000}
    tell(10, 5_000)
    while materialise("default", frozenset()):
        pass
    with CaptureQueriesContext(connection) as captured:
        feed("default", "default", 9, frozenset(registry.names()), [].extend)
    (sql,) = [query["sql"] for query in captured if re.search('FROM [`"]offload_event', query["sql"])]
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("%", "%%"))
        assert sorted(len(row[1]) > 0 for row in cursor.fetchall()) == [False, True]


def test_portions__of_some_bytes_each_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions_module, "PORTION", 10_000)
    tell(4_000, 4_000, 4_000, 20_000, 10)
    keys = list(EventRecord.objects.order_by("pk").values_list("pk", flat=True))
    gone = uuid7()
    items = [Item(event_id=pk, attempt=1, envelope="") for pk in (*keys, gone)]
    cut = list(portions(items, "default"))
    assert [len(some) for some in cut] == [2, 1, 1, 2]
    assert [item.event_id for some in cut for item in some] == [*keys, gone]
    stored = dict(EventRecord.objects.values_list("pk", "envelope"))
    assert [item.envelope for some in cut for item in some] == [*map(stored.__getitem__, keys), ""]


def test_portions__what_came_with_the_message_is_not_asked_for() -> None:
    items = [Item(event_id=uuid7(), attempt=0, envelope="{}") for _ in range(3)]
    with CaptureQueriesContext(connection) as captured:
        assert list(portions(items, "default")) == [items]
    assert not captured.captured_queries


@pytest.mark.parametrize(
    "receiver", ["tests.shop.receivers.measure_essay", "tests.shop.receivers.mail_essay"]
)
def test_message_of_several_portions__each_delivery_once(
    receiver: str, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    from tests.shop.models import Essay

    settings.EVENTS = settings.EVENTS | {"MAX_INLINE_BYTES": 0}
    monkeypatch.setattr(portions_module, "PORTION", 5_000)
    for number in range(10):
        Essay.objects.create(text="x" * (1_000 + number))
    (message,) = [each for each in fed() if each.receiver == receiver]
    assert consume(message) == Tally(done=10)
    notes = (
        Effect.objects.filter(receiver=receiver.rpartition(".")[2])
        .order_by("pk")
        .values_list("note", flat=True)
    )
    assert list(notes) == [f"{1_000 + number}" for number in range(10)]
    assert not Delivery.objects.filter(IS_UNFINISHED, receiver=receiver).exists()


def test_batches__of_what_a_person_replays_or_forgets__by_their_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slices, "BYTES", 10_000)
    tell(4_000, 4_000, 4_000, 20_000, 10)
    cut = list(slices.batches(EventRecord.objects.all()))
    assert [len(some) for some in cut] == [2, 1, 1, 1]
    keys = list(EventRecord.objects.order_by("pk").values_list("pk", flat=True))
    assert [event.pk for some in cut for event in some] == keys


def test_relay_whose_queues_are_full__goes_on_with_a_backlog_of_events_at_once() -> None:
    """Behind it may lie one for a queue that has nothing, which no queue's pace knows of."""
    # Looked at in an hour: however slow this machine, nothing of the pause has passed.
    full = {"default": Fed(window=8, room=0, sent=0, at=time.monotonic() + 3600)}
    assert Relay()._pause_after("default", Round(more=True, fed=full)) == _SOONEST
    assert Relay()._pause_after("default", Round(more=False, fed=full)) > _SOONEST
