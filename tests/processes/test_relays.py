"""Relays alone and side by side: what the fast path left is sent, once, and the broker holds a window of it."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from django.db import transaction

from events import transport
from events.clock import after
from events.fast_path import fast_path
from events.message import Message
from events.models import Delivery, EventRecord, Queue, State, Worker
from events.registry import registry
from events.relay import feeding, lease
from events.relay.feeding import feed
from events.relay.materialising import materialise
from events.relay.rounds import turn
from events.relay.workers import Workforce
from project.dev.broker import Broker
from tests import brokers
from tests.processes.conftest import Start, StartRelay, wait_for
from tests.shop.models import Effect, Item
from tests.shop.signals import bought

pytestmark = pytest.mark.django_db(transaction=True)

ITEMS = 20
# Four a process, and the two workers have two each.
WINDOW = 16
PROCESSES = 4


def left_to_the_relay(count: int = ITEMS) -> None:
    with fast_path.suspended(), transaction.atomic():
        for number in range(count):
            Item.objects.create(title=f"{number}")


def finished(deliveries: int) -> bool:
    return Delivery.objects.filter(state=State.DONE).count() == deliveries


def assert_once_each(effects: int) -> None:
    counted = Counter(Effect.objects.values_list("receiver", "key"))
    assert len(counted) == effects
    assert set(counted.values()) == {1}


def test_relay_alone__sends_what_the_fast_path_left(start_worker: Start, start_relay: StartRelay) -> None:
    start_worker(EVENTS_RELAY="off")
    start_relay()
    left_to_the_relay()
    wait_for(lambda: finished(2 * ITEMS), "every delivery")
    assert_once_each(2 * ITEMS)
    assert {queue.lease_owner.partition("#")[0] for queue in Queue.objects.exclude(lease_owner="")}


def test_two_relays_and_two_workers_on_one_backlog__each_effect_once_and_never_more_than_the_window(
    broker: Broker, start_worker: Start, start_relay: StartRelay
) -> None:
    count = 6000
    with fast_path.suspended():
        item = Item.objects.create(title="bought often")
        with transaction.atomic():
            for _ in range(count):
                bought.send(item=item, amount=1)
    for _ in range(2):
        start_worker(EVENTS_RELAY="off")
    assert Workforce.read("default").window("audit") == WINDOW
    for _ in range(2):
        start_relay()
    deepest = 0
    # Not closely: RabbitMQ's messages would be in our hands, and the relays find room where there is none.
    seen = partial(transport.look, closely=lambda depth: depth < 0)
    # Where relays are slower than workers nothing lies long enough to be met there: it is seen where it does.
    brokers.fill(broker, "emails", 1)
    assert seen("emails").depth == 1

    def drained() -> bool:
        nonlocal deepest
        deepest = max(deepest, *(seen(name).depth for name in ("audit", "default")))
        return finished(2 * count + 2)

    wait_for(drained, "every delivery")
    # And what a worker took ahead of what it ran, and gave back: a message for each of its processes (0017).
    assert deepest <= WINDOW + PROCESSES
    assert_once_each(2 * count + 2)
    # Ten in a message of count_trades: none was sent a second time.
    messages = Delivery.objects.filter(receiver__endswith="count_trades").values("message_id").distinct()
    assert messages.count() == count / 10
    assert set(Delivery.objects.values_list("attempt", flat=True)) == {1}


def test_queue_that_emitters_keep_filled__the_backlog_is_fed_all_the_same(broker: Broker) -> None:
    Worker.objects.create(pk="w", queues=["default", "audit"], receivers=registry.names(), processes=2)
    for number in range(WINDOW):
        Item.objects.create(title=f"{number}")
        fast_path.finish()
    emitted = transport.look("default")
    assert (emitted.depth, emitted.relayed) == (WINDOW, 0)
    left_to_the_relay()
    turn("default")
    look = transport.look("default")
    assert (look.depth, look.relayed) == (WINDOW + 1, 1)
    assert not Delivery.objects.filter(state=State.WAITING).exists()


def test_queue_that_another_relay_feeds__is_left_to_it_until_its_lease_ends(broker: Broker) -> None:
    Worker.objects.create(pk="w", queues=["default", "audit"], receivers=registry.names(), processes=2)
    left_to_the_relay()
    lease.ensure("default", {"default", "audit"})
    # Together they would overfill the window: each looks before the other's messages are there.
    Queue.objects.update(lease_owner="another", lease_until=after(60))
    for _ in range(3):
        turn("default")
    assert transport.look("default").depth == transport.look("audit").depth == 0
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.WAITING}
    Queue.objects.update(lease_until=after(-1))
    turn("default")
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}


def test_lease_that_ends_in_the_middle_of_a_round__the_rest_is_left_to_whoever_has_it(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_to_the_relay()
    with fast_path.suspended():
        for item in Item.objects.all():
            bought.send(item=item, amount=1)
    lease.ensure("default", {"audit"})
    materialise("default", frozenset())
    assert lease.take("default", "audit")
    ours = lease.Lease("default", "audit")
    # As in a round that takes longer than that, and has more to send than fits into one transaction.
    monkeypatch.setattr(lease, "RENEW", 0.0)
    monkeypatch.setattr(feeding, "_TOGETHER", 1)
    published: list[Message] = []

    def publish(messages: Sequence[Message]) -> None:
        published.extend(messages)
        Queue.objects.update(lease_owner="another", lease_until=after(60))

    assert feed("default", "audit", 8, frozenset(registry.names()), publish, ours.is_ours) == 1
    assert len(published) == 1


@pytest.mark.parametrize("name", ["relay.materialised", "relay.marked_sent", "relay.published"])
def test_relay_dies_at__another_goes_on(
    start_worker: Start, start_relay: StartRelay, tmp_path: Path, name: str
) -> None:
    once = tmp_path / "died"
    start_worker(EVENTS_RELAY="off")
    dying = start_relay(EVENTS_CRASHPOINT=name, EVENTS_CRASHPOINT_ONCE=str(once))
    left_to_the_relay()
    wait_for(once.exists, f"the death of the relay at {name}")
    assert dying.process.wait(60) == -signal.SIGKILL
    start_relay()
    wait_for(lambda: finished(2 * ITEMS), "every delivery")
    assert_once_each(2 * ITEMS)
    assert not EventRecord.objects.filter(next_at__isnull=False).exists()


def test_broker_that_takes_nothing__costs_the_backlog_one_sending_not_one_a_round(broker: Broker) -> None:
    Worker.objects.create(pk="w", queues=["default", "audit"], receivers=registry.names(), processes=4)
    item = Item.objects.create(title="bought often")
    fast_path.finish()
    with fast_path.suspended(), transaction.atomic():
        for _ in range(100):
            bought.send(item=item, amount=1)
    client = broker.client()
    # It answers, and shows what is in its queues; only what writes is refused.
    client.config_set("maxmemory", "1")
    try:
        for _ in range(10):
            turn("default")
        sent = Delivery.objects.filter(attempt__gt=0)
        # count_trades takes ten in a message: one was tried.
        assert sent.filter(receiver__endswith="count_trades").count() <= 10
    finally:
        client.config_set("maxmemory", "0")

    def all_sent() -> bool:
        turn("default")
        return not Delivery.objects.filter(state=State.WAITING).exists()

    wait_for(all_sent, "the backlog to be sent when the broker takes it again")
    assert transport.look("audit").depth >= 9
