"""The relay prunes beside its work, not instead of it."""

from __future__ import annotations

import pytest

from events.clock import after
from events.fast_path import fast_path
from events.models import Delivery, EventRecord, State
from events.relay import loop
from events.relay.loop import Relay
from events.relay.pruning import BATCH
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


def test_relay__prunes_a_batch_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_FIRST_PRUNE", 0.0)
    with fast_path.suspended():
        for _ in range(BATCH + 1):
            Item(title="old").save()
    EventRecord.objects.update(next_at=None, emitted_at=after(-31 * 86_400))
    rows = [
        Delivery(event=event, receiver=name, queue=queue, state=State.DONE)
        for event in EventRecord.objects.all()
        for name, queue in event.receivers.items()
    ]
    Delivery.objects.bulk_create(rows)
    relay = Relay()
    for left in (1, 0, 0):
        relay._prune("default")
        assert EventRecord.objects.count() == left
    assert not Delivery.objects.exists()
    # It is over, until its hour comes again.
    assert not relay._pruning
