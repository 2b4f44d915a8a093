"""No backlog, hanging receiver, refused queue or other outbox keeps the rest waiting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from events.message import Message
from events.models import Delivery, EventRecord, State, Worker
from events.relay.feeding import feed
from events.relay.loop import Relay
from events.relay.materialising import materialise
from events.relay.rotation import in_turn
from events.relay.rounds import turn
from project.dev.broker import Broker
from tests import brokers
from tests.events.ageing import old, store
from tests.events.test_locks import elsewhere

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY: frozenset[tuple[str, str]] = frozenset()


def wait(name: str, count: int, queue: str = "default", *, careful: bool = False) -> None:
    """So many deliveries of the receiver, with their records."""
    store(count, receivers={name: queue}, states=(), next_at=old())
    while materialise("default", NOBODY):
        pass
    Delivery.objects.filter(receiver=name).update(careful=careful)


@pytest.mark.parametrize("careful", [False, True])
def test_receiver__waits_for_anothers_backlog_no_longer_than_a_message_of_each(careful: bool) -> None:
    """Where workers are slower than rounds, a round has room for few messages: each time for the first by name."""
    wait("a.big", 500, careful=careful)
    wait("b.small", 1)
    sent: list[str] = []

    def publish(messages: Sequence[Message]) -> None:
        sent.extend(message.receiver for message in messages)

    for _ in range(3):
        feed("default", "default", 1, frozenset({"a.big", "b.small"}), publish)
    assert sent[:3].count("b.small") == 1


def test_receiver_that_a_worker_has_in_hand__holds_up_none_of_the_events_others() -> None:
    [event] = store(1, receivers={"a.hangs": "default", "b.other": "default"}, states=(), next_at=old())
    materialise("default", frozenset({("a.hangs", str(event.pk))}))
    assert [row.receiver for row in Delivery.objects.all()] == ["b.other"]
    event.refresh_from_db()
    assert event.next_at is not None, "nobody will look whether it was lost"
    assert timezone.now() < event.next_at < timezone.now() + timedelta(seconds=30)
    # Its worker died: what it had in hand is the relay's.
    EventRecord.objects.update(next_at=Now())
    materialise("default", NOBODY)
    assert set(Delivery.objects.values_list("receiver", flat=True)) == {"a.hangs", "b.other"}
    event.refresh_from_db()
    assert event.next_at is None


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a claim there locks all of it")
def test_claim_that_is_open_and_that_nobody_holds__holds_up_none_of_the_events_others() -> None:
    """Of a host that lost power: its connection lingers in the server."""
    [event] = store(1, receivers={"a.hangs": "default", "b.other": "default"}, states=(), next_at=old())

    def claim() -> None:
        Delivery.objects.create(event_id=event.pk, receiver="a.hangs", queue="default", state=State.DONE)

    with elsewhere(claim):
        materialise("default", NOBODY)
        assert [row.receiver for row in Delivery.objects.all()] == ["b.other"]
        event.refresh_from_db()
        assert event.next_at is not None


@brokers.about_redis
def test_queue_that_the_broker_refuses__keeps_no_other_waiting(broker: Broker) -> None:
    brokers.empty(broker)
    wait("a.refused", 1, queue="audit")
    wait("b.fine", 1, queue="default")
    Worker.objects.create(pk="w", queues=["audit", "default"], receivers=["a.refused", "b.fine"])
    client = broker.client()
    client.set("audit", "no list")
    try:
        for _ in range(2):
            turn("default")
    finally:
        client.delete("audit")
    assert Delivery.objects.get(receiver="b.fine").state == State.SENT


def test_each_outbox__is_first_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one leaves of a window that they share is for the others."""
    first: list[str] = []

    def begun(using: str) -> None:
        first.append(using)
        raise RuntimeError

    monkeypatch.setattr("events.relay.loop.outbox_aliases", lambda: ("default", "other"))
    monkeypatch.setattr("events.relay.loop.turn", begun)
    relay = Relay()
    relay._round()
    relay._round()
    assert first == ["default", "other", "other", "default"]


def test_in_turn__begins_behind_the_last_whether_it_is_still_there_or_not() -> None:
    assert in_turn(["c", "a", "b"], after="") == ["a", "b", "c"]
    assert in_turn(["c", "a", "b"], after="b") == ["c", "a", "b"]
    assert in_turn(["c", "a"], after="b") == ["c", "a"]
    assert in_turn([], after="b") == []
