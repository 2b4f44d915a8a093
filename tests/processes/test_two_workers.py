"""Two workers, the same messages, several times over: one effect each."""

from __future__ import annotations

import pytest
from django.db import transaction

from events import transport
from events.fast_path import fast_path
from events.message import Message
from events.models import Delivery, EventRecord, State
from events.registry import registry
from events.relay.feeding import feed
from events.relay.materialising import materialise
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Effect, Item

pytestmark = pytest.mark.django_db(transaction=True)

ITEMS = 300
TIMES = 4


def emitted() -> None:
    with fast_path.suspended(), transaction.atomic():
        for number in range(ITEMS):
            Item.objects.create(title=f"{number}")


def unrecorded_messages() -> list[Message]:
    """As the emitter makes them: no delivery has a record, and the claim is an insert."""
    events = list(EventRecord.objects.order_by("pk"))
    EventRecord.objects.update(next_at=None)
    names = sorted(events[0].receivers.items())
    return [
        Message(
            receiver=name,
            queue=queue,
            using="default",
            ids=tuple(str(event.pk) for event in some),
            envelopes=tuple(event.envelope for event in some),
            attempts=(0,) * len(some),
        )
        for name, queue in names
        for some in [events[start : start + 50] for start in range(0, ITEMS, 50)]
    ]


def recorded_messages() -> list[Message]:
    """As the relay makes them: every delivery has a record, and the claim is a lock."""
    while materialise("default", frozenset()):
        pass
    messages: list[Message] = []
    for queue in ("default", "audit"):
        feed("default", queue, 1000, frozenset(registry.names()), publish=messages.extend)
    return messages


def finished() -> bool:
    return Delivery.objects.filter(state=State.DONE).count() == 2 * ITEMS


@pytest.mark.parametrize("make", [unrecorded_messages, recorded_messages])
def test_same_messages_for_two_workers__one_effect_each(start_worker: Start, make: object) -> None:
    start_worker(EVENTS_RELAY="off")
    start_worker(EVENTS_RELAY="off")
    emitted()
    messages = make()  # type: ignore[operator]
    for _ in range(TIMES):
        transport.publish(messages)
    wait_for(finished, "every delivery")
    wait_for(lambda: transport.look("default").depth + transport.look("audit").depth == 0, "empty queues")
    keys = list(Effect.objects.values_list("receiver", "key"))
    assert len(keys) == len(set(keys)) == 2 * ITEMS
