"""Who can write to the broker can neither make a receiver run what we didn't publish, nor lose what we did."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django_celery_results.models import TaskResult

from events import transport
from events.fast_path import fast_path
from events.message import MOST_EVENTS, Message
from events.models import Delivery, EventRecord, Refusal, State
from events.relay.pruning import Pruned
from project.dev.broker import Broker
from tests import brokers
from tests.events.ageing import old, pruned
from tests.processes.conftest import Start, wait_for
from tests.processes.wire import Alter, Wired, laid_into, put, refused, take
from tests.shop.models import Effect, Item
from tests.shop.receivers import misbehave
from tests.shop.signals import plain

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = "tests.shop.receivers.record_save"


def both_names(message: Wired) -> None:
    message.headers["task"] = message.ours["receiver"] = OTHER


def of_another_event(message: Wired) -> None:
    message.ours["ids"] = [str(EventRecord.objects.earliest("pk").pk)]


def body(index: int, value: Any) -> Alter:
    return lambda message: message.body.__setitem__(index, value)


def whole_body(value: Any) -> Alter:
    return lambda message: setattr(message, "body", value)


def ours(name: str, value: Any) -> Alter:
    return lambda message: message.ours.__setitem__(name, value)


CALL = {"task": "celery.backend_cleanup", "args": [], "kwargs": {}, "options": {}, "subtask_type": None}
ALTERED: dict[str, Alter] = {
    "aimed at another receiver": lambda message: message.headers.__setitem__("task", OTHER),
    "aimed at another receiver, by both names": both_names,
    "for another queue": ours("queue", "audit"),
    "of another event": of_another_event,
    "of an event that isn't": ours("ids", [str(uuid4())]),
    "of another attempt": ours("attempts", [2]),
    "of a first attempt": ours("attempts", [0]),
    "careful": ours("careful", True),
    "of another database": ours("using", "other"),
    "an altered envelope": lambda message: message.envelopes.__setitem__(0, message.envelopes[0] + " "),
    "an envelope left out": lambda message: message.envelopes.__setitem__(0, ""),
    "under another id": lambda message: message.rename(str(uuid4())),
    "a forged signature": ours("signature", "0" * 64),
    "no header": lambda message: message.headers.pop("events"),
    "a header that is none": lambda message: message.headers.__setitem__("events", "ours"),
    "more events than any": lambda message: message.ours.update(ids=message.ours["ids"] * (MOST_EVENTS + 1)),
    "keyword arguments": body(1, {"at": "once"}),
    "a task to call afterwards": body(2, {"callbacks": [CALL]}),
    "no list of envelopes": body(0, 5),
    "a body of one part": whole_body([1]),
    "a body that is a number": whole_body(5),
    "a body that is a text": whole_body("abc"),
    "a body that is nothing": whole_body(None),
    "an unhashable task": lambda message: message.headers.__setitem__("task", ["a", "b"]),
    "no id": lambda message: message.headers.pop("id"),
}
if brokers.ON_RABBITMQ:
    # It takes no header of half a megabyte itself.
    del ALTERED["more events than any"]


def test_altered__are_refused_and_recorded__and_what_was_published_arrives_all_the_same(
    start_worker: Start, broker: Broker
) -> None:
    for _ in ALTERED:
        with laid_into("default"):
            plain.send(sender=None)
    messages = take(broker, len(ALTERED))
    start_worker(EVENTS_RELAY="off")
    for number, (name, message) in enumerate(zip(ALTERED, messages, strict=True), start=1):
        ALTERED[name](message)
        put(broker, message)
        wait_for(lambda number=number: refused() == number, f"the refusal of {name}")
    assert not Effect.objects.exists()
    # Nor a row of results for each: whoever forges them chooses the ids.
    assert TaskResult.objects.count() == 0
    # The relay publishes them again, as they were.
    start_worker("-c", "1")
    done = Delivery.objects.filter(receiver__endswith="record_plain", state=State.DONE)
    wait_for(lambda: done.count() == len(ALTERED), "every delivery")
    assert Effect.objects.filter(receiver="record_plain").count() == len(ALTERED)
    assert not Delivery.objects.exclude(queue="default").exists()


# --- What is not signed, and says nothing -------------------------------------------------------------------

UNSIGNED: dict[str, Alter] = {
    "put off": lambda message: message.headers.__setitem__("eta", "2099-01-01T00:00:00+00:00"),
    "expired": lambda message: message.headers.__setitem__("expires", "1999-01-01T00:00:00+00:00"),
    "no time": lambda message: message.headers.__setitem__("timelimit", [0.001, 0.001]),
    "no result": lambda message: message.headers.__setitem__("ignore_result", True),
    "another name": lambda message: message.headers.__setitem__("shadow", "x" * 300),
    "another route": lambda message: message.properties["delivery_info"].__setitem__(
        "routing_key", "x" * 300
    ),
}


def test_unsigned_parts_altered__have_no_say(start_worker: Start, broker: Broker) -> None:
    for how in UNSIGNED:
        with laid_into("default"):
            misbehave.send(how="raise", tag=how)
    # Three receivers each; they fail, and their deliveries come to wait in a queue.
    messages = take(broker, 3 * len(UNSIGNED))
    start_worker(EVENTS_RELAY="off")
    for number, message in enumerate(messages):
        list(UNSIGNED.values())[number % len(UNSIGNED)](message)
        put(broker, message)
    begun = Delivery.objects.exclude(state__in=[State.SENT, State.RUNNING])
    wait_for(lambda: begun.count() == len(messages), "every delivery")
    assert set(Delivery.objects.values_list("queue", "state", "careful")) == {
        ("default", State.DONE, False),
        ("default", State.WAITING, False),
    }
    assert not refused()


# --- Well signed, and not to be run -------------------------------------------------------------------------


def test_copied_to_another_of_the_events_own_receivers__is_refused(
    start_worker: Start, broker: Broker
) -> None:
    with laid_into("default", "audit"):
        Item.objects.create(title="x")
    (message,) = take(broker, 1)
    (second,) = take(broker, 1, "audit")
    message.headers["task"] = second.ours["receiver"]
    start_worker(EVENTS_RELAY="off")
    put(broker, message)
    wait_for(lambda: refused() == 1, "a refusal")
    assert "was aimed at" in Refusal.objects.get().reason
    assert not Effect.objects.exists()


def test_sent_twice__has_one_effect(start_worker: Start, broker: Broker) -> None:
    with laid_into("default"):
        plain.send(sender=None)
    (message,) = take(broker, 1)
    for _ in range(5):
        put(broker, message)
    start_worker()
    wait_for(Effect.objects.exists, "its effect")
    wait_for(lambda: not brokers.waiting(broker, "default"), "an empty queue")
    plain.send(sender=None)
    wait_for(lambda: Effect.objects.count() == 2, "what was sent after them")
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize(("attempt", "careful"), [(0, False), (1, False), (1, True)])
def test_sent_again_after_pruning__is_refused(start_worker: Start, attempt: int, careful: bool) -> None:
    with fast_path.suspended():
        plain.send(sender=None)
    event = EventRecord.objects.get()
    message = Message(
        receiver="tests.shop.receivers.record_plain",
        queue="default",
        using="default",
        ids=(str(event.pk),),
        envelopes=(event.envelope,),
        attempts=(attempt,),
        careful=careful,
    )
    if attempt:
        sent = {"queue": "default", "attempt": attempt, "state": State.SENT, "careful": careful}
        Delivery.objects.create(event=event, receiver=message.receiver, **sent)
    start_worker(EVENTS_RELAY="off")
    transport.publish([message])
    wait_for(lambda: Effect.objects.count() == 1, "its effect")
    wait_for(Delivery.objects.filter(state=State.DONE).exists, "its record")
    EventRecord.objects.update(emitted_at=old(), next_at=None)
    assert pruned() == Pruned(examined=1, events=1)
    transport.publish([message])
    wait_for(lambda: refused() == 1, "a refusal")
    assert Effect.objects.count() == 1
    assert not Delivery.objects.exists()


def test_of_an_outbox_that_the_worker_lacks__is_refused(start_worker: Start) -> None:
    start_worker()
    lost = Message(
        receiver="tests.shop.receivers.record_plain",
        queue="default",
        using="other",
        ids=(str(uuid4()),),
        envelopes=("{}",),
        attempts=(0,),
    )
    transport.publish([lost])
    wait_for(lambda: refused() == 1, "a refusal")
    assert Refusal.objects.get().reason == "it is of the outbox 'other', which this worker doesn't have"
    plain.send(sender=None)
    wait_for(lambda: Effect.objects.count() == 1, "a worker that lives on")
