"""What RabbitMQ has and Redis has not: deleted queues, alarms, messages that are put back. See decision 0016."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from amqp.exceptions import ChannelError
from django.db import transaction
from django.db.models.functions import Now

from events import transport
from events.fast_path import fast_path
from events.message import Message
from events.models import Delivery, EventRecord, State, Worker
from events.registry import registry
from events.relay import rounds
from events.relay.rounds import turn
from events.transport import rabbitmq
from events.transport.connecting import connection as connect
from tests import brokers
from tests.brokers import RabbitBroker, about_rabbitmq
from tests.processes.conftest import Start, wait_for
from tests.processes.wire import laid_into
from tests.shop.models import Effect, Item

pytestmark = [pytest.mark.django_db(transaction=True), about_rabbitmq]

RECEIVER = "tests.shop.receivers.record_save"


@pytest.fixture(autouse=True)
def begun_anew() -> Iterator[None]:
    """No connection of before, which a node that was killed has cut; and nothing was looked into."""
    transport.reset()
    rounds._looked.clear()
    yield
    rounds._looked.clear()


def message(number: int = 0) -> Message:
    return Message(
        receiver=RECEIVER,
        queue="default",
        using="default",
        ids=(f"{number}",),
        envelopes=("{}",),
        attempts=(1,),
    )


def test_message_of_a_worker_that_died__is_sent_anew_by_the_relay(
    broker: RabbitBroker, start_worker: Start
) -> None:
    with laid_into("default"):
        item = Item.objects.create(title="in dead hands")
    with connect(5.0) as dying:
        assert dying.default_channel.basic_get("default") is not None
    worker = start_worker()
    delivery = Delivery.objects.filter(event__subject=f"shop.item/{item.pk}", queue="default")
    wait_for(delivery.filter(state=State.DONE).exists, "its effect", log=worker.log)
    assert delivery.get().attempt == 2
    assert (
        "events.redelivered receiver=tests.shop.receivers.record_save deliveries=1" in worker.log.read_text()
    )


def test_message_of_a_worker_that_died__looked_at_since__is_sent_anew_all_the_same(
    broker: RabbitBroker, start_worker: Start
) -> None:
    with laid_into("default"):
        item = Item.objects.create(title="in dead hands")
    with connect(5.0) as dying:
        assert dying.default_channel.basic_get("default") is not None
    wait_for(lambda: brokers.waiting(broker, "default") == 1, "it to be put back")
    for _ in range(2):
        assert len(transport.look("default").ids or ()) == 1
    worker = start_worker()
    delivery = Delivery.objects.filter(event__subject=f"shop.item/{item.pk}", queue="default")
    wait_for(delivery.filter(state=State.DONE).exists, "its effect", log=worker.log)
    assert delivery.get().attempt == 2


def delete(broker: RabbitBroker, queue: str) -> None:
    broker.control("delete_queue", queue)


def test_look__takes_nothing_away_however_often(broker: RabbitBroker) -> None:
    transport.publish([message(number) for number in range(70)])
    looks = [transport.look("default") for _ in range(30)]
    assert {(look.depth, look.relayed, len(look.ids or ())) for look in looks} == {(70, 70, 70)}
    assert brokers.waiting(broker, "default") == 70
    # As they were: to a worker none is one that another died of.
    (first, *_) = [brokers.take(broker, "default") for _ in range(70)]
    assert not first.delivery_info["redelivered"]
    assert not first.properties["application_headers"].get("x-delivery-count")


def test_look__not_closely__counts_and_says_so() -> None:
    transport.publish([message()])
    asked: list[int] = []
    look = transport.look("default", closely=lambda depth: bool(asked.append(depth)))
    assert (look.depth, look.relayed, look.ids) == (1, 1, None)
    assert asked == [1]


def test_look__ended_in_the_middle__puts_back_what_it_had_taken(broker: RabbitBroker) -> None:
    transport.publish([message(number) for number in range(3)])
    with connect(5.0) as dying:
        channel = dying.default_channel
        assert [channel.basic_get("default") is None for _ in range(3)] == [False] * 3
        assert brokers.waiting(broker, "default") == 0
    wait_for(lambda: brokers.waiting(broker, "default") == 3, "all of them")
    assert len(transport.look("default").ids or ()) == 3


def test_queue_that_nobody_made__is_empty_and_is_made_by_who_publishes(broker: RabbitBroker) -> None:
    brokers.empty(broker, "default")
    delete_if_there(broker, "default")
    assert transport.depth("default", 5.0) == 0
    look = transport.look("default")
    assert (look.depth, look.ids) == (0, frozenset())
    transport.reset()
    transport.publish([message()])
    assert transport.depth("default", 5.0) == 1


def delete_if_there(broker: RabbitBroker, queue: str) -> None:
    if queue in broker.control("list_queues", "name").split():
        delete(broker, queue)


def test_queue_deleted_since_it_was_declared__the_publisher_is_told_and_makes_it_anew(
    broker: RabbitBroker,
) -> None:
    transport.publish([message()])
    delete(broker, "default")
    # On the very same connection, which has declared it and won't again.
    with pytest.raises(ChannelError, match="NO_ROUTE"):
        transport.publish([message()])
    transport.reset()
    transport.publish([message()])
    assert transport.depth("default", 5.0) == 1


def test_queue_deleted_with_what_was_in_it__every_delivery_is_made_once(
    broker: RabbitBroker, start_worker: Start
) -> None:
    with laid_into("default", "audit"):
        for number in range(5):
            Item.objects.create(title=f"{number}")
    delete(broker, "default")
    start_worker()
    wait_for(lambda: Delivery.objects.filter(state=State.DONE).count() == 10, "every delivery")
    keys = list(Effect.objects.values_list("receiver", "key"))
    assert len(keys) == len(set(keys)) == 10


def test_worker__whose_queue_is_deleted_under_it__takes_messages_again(
    broker: RabbitBroker, start_worker: Start
) -> None:
    worker = start_worker()
    # It beats before it takes messages: RabbitMQ tells of the deletion whom it knows as a consumer.
    wait_for(lambda: counted(broker, "consumers").get("default"), "a consumer", log=worker.log)
    delete(broker, "default")
    # Who makes it anew in the same 50 ms keeps RabbitMQ from telling: see decision 0016.
    wait_for(lambda: counted(broker, "consumers").get("default"), "a consumer again", log=worker.log)
    Item.objects.create(title="afterwards")
    done = Delivery.objects.filter(state=State.DONE)
    wait_for(lambda: done.count() == 2, "both deliveries", log=worker.log)
    assert worker.process.poll() is None


def test_node_killed__every_delivery_is_made_once(broker: RabbitBroker, start_worker: Start) -> None:
    with laid_into("default", "audit"):
        for number in range(5):
            Item.objects.create(title=f"{number}")
    broker.write_names()
    broker.kill()
    with transaction.atomic():
        Item.objects.create(title="while it is away")
    broker.start()
    worker = start_worker()
    done = Delivery.objects.filter(state=State.DONE)
    wait_for(lambda: done.count() == 12, "every delivery", log=worker.log)
    keys = list(Effect.objects.values_list("receiver", "key"))
    assert len(keys) == len(set(keys)) == 12


@pytest.fixture
def full(broker: RabbitBroker) -> Iterator[RabbitBroker]:
    yield broker
    broker.control("set_vm_memory_high_watermark", "0.6")
    wait_for(fast_path.flows, "the breaker to close")


def test_node_without_memory__keeps_the_breaker_open_until_it_has_some(full: RabbitBroker) -> None:
    def publishes() -> bool:
        Item.objects.create(title="one")
        return bool(EventRecord.objects.latest("pk").published and fast_path.finish())

    wait_for(publishes, "a publish")
    full.control("set_vm_memory_high_watermark", "0.0000001")

    def is_open() -> bool:
        Item.objects.create(title="one")
        return not fast_path.breaker.is_closed()

    wait_for(is_open, "an open breaker")
    with pytest.raises(OSError):  # noqa: PT011 - whatever of a time limit
        transport.probe()
    Item.objects.create(title="one")
    assert EventRecord.objects.latest("pk").published == []
    full.control("set_vm_memory_high_watermark", "0.6")
    wait_for(publishes, "a publish")


def counted(broker: RabbitBroker, what: str = "messages") -> dict[str, int]:
    """Queue → its messages, or consumers."""
    lines = broker.control("list_queues", "name", what).splitlines()[1:]
    return {name: int(number) for name, number in (line.split("\t") for line in lines)}


def test_probe__leaves_nothing_behind(broker: RabbitBroker) -> None:
    before = counted(broker).keys()
    transport.probe()
    assert counted(broker).keys() == before
    # What RabbitMQ says of numbers is some seconds old.
    wait_for(lambda: not any(counted(broker).values()), "empty queues")
    assert rabbitmq._NOWHERE not in before


def test_delivery_lost_in_a_queue_that_is_never_empty__is_found_and_sent_again(broker: RabbitBroker) -> None:
    Worker.objects.create(pk="w", queues=["default", "audit"], receivers=registry.names(), processes=2)
    with laid_into("default"):
        item = Item.objects.create(title="lost")
    brokers.empty(broker, "default")
    # Somebody else's, which nobody takes.
    brokers.fill(broker, "default", 3)
    lost = Delivery.objects.get(event__subject=f"shop.item/{item.pk}", queue="default")

    def is_sent_again() -> bool:
        Worker.objects.update(beat_at=Now())
        turn("default")
        lost.refresh_from_db()
        return lost.attempt == 2

    wait_for(is_sent_again, "the second sending")
    assert (lost.receiver, str(lost.event_id)) in (transport.look("default").ids or ())


def test_round_of_the_relay__looks_closely_where_it_matters_and_seldom(broker: RabbitBroker) -> None:
    Worker.objects.create(pk="w", queues=["default", "audit"], receivers=registry.names(), processes=2)
    with laid_into("default"):
        Item.objects.create(title="queued")
    assert not rounds._is_sought("default", "default", 1)
    Delivery.objects.filter(queue="default").update(next_at=EventRecord.objects.get().emitted_at)
    assert rounds._is_sought("default", "default", 1)
    assert not rounds._is_sought("default", "default", 1)
