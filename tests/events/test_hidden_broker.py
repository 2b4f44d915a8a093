"""A broker that can't be looked into: what it lost is found when its queue is empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from events import transport
from events.clock import after
from events.fast_path import fast_path
from events.models import Delivery, EventRecord, State, Worker
from events.registry import registry
from events.relay.rounds import turn
from project.celery import app
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

RECEIVER = "tests.shop.receivers.record_save"
SECOND = "tests.shop.receivers.record_delete"


@pytest.fixture(autouse=True)
def hidden_broker() -> Iterator[None]:
    before = app.conf.broker_url
    app.conf.broker_url, app._pool = "memory://", None
    transport.reset()
    with transport.connecting.producer(transport.publishing.PATIENT) as lent:
        lent.channel.queue_declare("default")
        lent.channel.queue_purge("default")
    yield
    transport.reset()
    app.conf.broker_url, app._pool = before, None


@pytest.fixture
def sent() -> Delivery:
    with fast_path.suspended():
        Item.objects.create(title="one")
    EventRecord.objects.update(next_at=None)
    Worker.objects.create(id="lives", queues=["default"], receivers=registry.names())
    return Delivery.objects.create(
        event=EventRecord.objects.get(),
        receiver=RECEIVER,
        queue="default",
        state=State.SENT,
        attempt=1,
        next_at=after(-100),
    )


def overdue() -> None:
    Delivery.objects.update(next_at=after(-100))


def test_lost_message__empty_queue__is_sent_again_at_the_second_look(sent: Delivery) -> None:
    turn("default")
    sent.refresh_from_db()
    assert sent.suspect_at is not None
    overdue()
    assert turn("default").messages == 1
    sent.refresh_from_db()
    assert (sent.state, sent.attempt) == (State.SENT, 2)
    assert transport.depth("default", 1.0) == 1


def test_lost_message__queue_never_empty__is_fed_no_more_until_it_is(sent: Delivery) -> None:
    with transport.connecting.producer(transport.publishing.PATIENT) as lent:
        lent.publish({}, exchange="", routing_key="default")
    Delivery.objects.create(
        event=sent.event, receiver=SECOND, queue="default", state=State.WAITING, next_at=after(-1)
    )
    assert turn("default").messages == 0
    sent.refresh_from_db()
    assert (sent.state, sent.suspect_at) == (State.SENT, None)
    Delivery.objects.filter(pk=sent.pk).update(state=State.DONE)
    assert turn("default").messages == 1
