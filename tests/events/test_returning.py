"""What this version of the code can't run is put back: as it was, for a while, and in the event's own words."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from events.delivery.returning import return_message, return_newer
from events.fast_path import fast_path
from events.message import Message
from events.models import Delivery, EventRecord, Refusal, State
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

GONE = "shop.gone"


def message(attempt: int = 0, *, of: str = GONE, events: int = 1, careful: bool = False) -> Message:
    """For a receiver that the events list, and this code doesn't have."""
    with fast_path.suspended():
        for _ in range(events - EventRecord.objects.count()):
            Item.objects.create(title="x")
    EventRecord.objects.update(receivers={GONE: "default"})
    ids = [str(pk) for pk in EventRecord.objects.order_by("pk").values_list("pk", flat=True)]
    return Message(
        receiver=of,
        queue="default",
        using="default",
        ids=tuple(ids),
        envelopes=("",) * len(ids),
        attempts=(attempt,) * len(ids),
        careful=careful,
    )


def seconds_left() -> float:
    due = Delivery.objects.get().next_at
    assert due is not None
    return (due - timezone.now()).total_seconds()


def test_return__of_the_emitters_own_message__makes_the_record() -> None:
    assert return_message(message(events=3)) == 3
    rows = set(Delivery.objects.values_list("receiver", "queue", "state", "tries", "attempt", "careful"))
    assert rows == {(GONE, "default", State.WAITING, 0, 0, False)}
    assert Delivery.objects.count() == 3


@pytest.mark.parametrize(("attempt", "longest"), [(0, 2), (1, 4), (2, 8), (3, 8), (1_000_000, 8)])
def test_return__waits_longer_each_time__and_no_longer_than_a_person_would(
    attempt: int, longest: int
) -> None:
    sent = message(attempt)
    Delivery.objects.create(
        event_id=sent.ids[0], receiver=GONE, queue="default", state=State.SENT, attempt=attempt
    )
    return_message(sent)
    assert longest - 1.9 < seconds_left() <= longest + 1.1


@pytest.mark.parametrize(("attempt", "longest"), [(0, 2), (3, 16), (4, 30), (1_000_000, 30)])
def test_return__of_a_newer_version__waits_longer_still(attempt: int, longest: int) -> None:
    sent = message(attempt)
    Delivery.objects.create(
        event_id=sent.ids[0], receiver=GONE, queue="default", state=State.SENT, attempt=attempt
    )
    return_newer(sent, [(UUID(sent.ids[0]), attempt)], "version 2")
    assert longest - 1.9 < seconds_left() <= longest + 1.1


def test_return__one_after_the_other__at_uneven_pauses() -> None:
    """An idle worker that lacks the receiver would otherwise stay the first in the broker's line."""
    pauses = []
    for _ in range(5):
        started = timezone.now()
        return_message(message(attempt=3))
        due = Delivery.objects.get().next_at
        assert due is not None
        pauses.append((due - started).total_seconds())
        Delivery.objects.all().delete()
    assert min(pauses) > 7.9
    assert max(pauses) - min(pauses) > 0.05


@pytest.mark.parametrize(
    ("state", "attempt"),
    [(State.SENT, 2), (State.WAITING, 1), (State.RUNNING, 1), (State.DONE, 1), (State.DEAD, 1)],
)
def test_return__leaves_alone_what_is_somebody_elses_by_now(state: State, attempt: int) -> None:
    sent = message(attempt=1)
    due = timezone.now() + timedelta(hours=1)
    row = Delivery.objects.create(
        event_id=sent.ids[0], receiver=GONE, queue="default", state=state, attempt=attempt, next_at=due
    )
    assert return_message(sent) == 0
    row.refresh_from_db()
    assert (row.state, row.attempt, row.next_at, row.error) == (state, attempt, due, "")


def test_return__of_a_careful_delivery__keeps_it_careful_and_its_tries() -> None:
    sent = message(attempt=3, careful=True)
    Delivery.objects.create(
        event_id=sent.ids[0],
        receiver=GONE,
        queue="default",
        state=State.SENT,
        attempt=3,
        careful=True,
        tries=2,
    )
    return_message(sent)
    [row] = Delivery.objects.values("state", "careful", "tries", "attempt")
    assert row == {"state": State.WAITING, "careful": True, "tries": 2, "attempt": 3}


def test_return__of_an_event_that_does_not_list_the_receiver__makes_no_record() -> None:
    assert return_message(message(of="shop.another")) == 0
    assert not Delivery.objects.exists()


def test_return__is_reported_once__and_counted() -> None:
    for _ in range(5):
        return_message(message())
    [refusal] = Refusal.objects.all()
    assert (refusal.receiver, refusal.count) == (GONE, 5)
    assert refusal.reason == (
        "The code of this worker lacks the receiver 'shop.gone': the deliveries wait for a worker that has it"
    )
