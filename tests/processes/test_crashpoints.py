"""A pool process dies at each line where dying matters: every effect is there once, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import transaction

from events.fast_path import fast_path
from events.models import Delivery, State
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Effect, Item

pytestmark = pytest.mark.django_db(transaction=True)

ITEMS = 20

# Where the first process of the pool to come by kills itself, and how often at most the effects of a receiver
# that works outside a transaction are there then.
INSIDE = [
    "deliver.received",
    "deliver.claimed",
    "deliver.ran",
    "deliver.finished",
    "deliver.committed",
]


def finished() -> bool:
    return Delivery.objects.filter(state=State.DONE).count() == 2 * ITEMS


@pytest.mark.parametrize("name", INSIDE)
def test_process_dies_at(start_worker: Start, tmp_path: Path, name: str) -> None:
    once = tmp_path / "died"
    start_worker(EVENTS_CRASHPOINT=name, EVENTS_CRASHPOINT_ONCE=str(once))
    with transaction.atomic():
        for number in range(ITEMS):
            Item.objects.create(title=f"{number}")
    wait_for(finished, f"{2 * ITEMS} deliveries done after a death at {name}")
    assert once.exists(), f"nobody came by {name}"
    exact = list(Effect.objects.filter(receiver="record_save").values_list("key", flat=True))
    assert len(exact) == len(set(exact)) == ITEMS
    loose = list(Effect.objects.filter(receiver="mail_save").values_list("key", flat=True))
    assert len(set(loose)) == ITEMS
    # At least once: the one effect that was not recorded when its process died comes again, no other.
    assert ITEMS <= len(loose) <= ITEMS + 1


def test_relay_dies_between_marking_and_publishing__another_finds_out(
    start_worker: Start, tmp_path: Path
) -> None:
    once = tmp_path / "died"
    with fast_path.suspended(), transaction.atomic():
        for number in range(ITEMS):
            Item.objects.create(title=f"{number}")
    # It beats, its relay marks the first message as sent, and the whole worker is gone.
    start_worker(wait=False, EVENTS_CRASHPOINT="relay.marked_sent", EVENTS_CRASHPOINT_ONCE=str(once))
    wait_for(once.exists, "the death of the relay")
    start_worker()
    wait_for(finished, "every delivery")
    assert Effect.objects.count() == 2 * ITEMS
