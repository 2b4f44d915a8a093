from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from events.models import Delivery, EventRecord, State
from project.dev import timeline

pytestmark = pytest.mark.django_db
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def emit(*receivers: str) -> EventRecord:
    return EventRecord.objects.create(
        id=uuid4(),
        type="library.book_read",
        subject="library.book/1",
        correlation_id=uuid4(),
        receivers=dict.fromkeys(receivers, "default"),
        envelope="{}",
        emitted_at=NOON,
    )


def deliver(event: EventRecord, receiver: str, state: State, reason: str = "", after: int = 25) -> None:
    Delivery.objects.create(
        event=event,
        receiver=receiver,
        queue="default",
        state=state,
        reason=reason,
        finished_at=NOON + timedelta(milliseconds=after),
    )


def test_timeline__tells_event_receivers_outcome_and_milliseconds() -> None:
    event = emit("count", "recommend")
    deliver(event, "count", State.DONE)
    deliver(event, "recommend", State.SKIPPED, "nobody reads")

    told = [" ".join(line.split()) for line in timeline.lines(timeline.events_since(NOON))]

    assert told == [
        "library.book_read library.book/1",
        "→ count ✓ done 25 ms",
        "→ recommend – skipped 25 ms nobody reads",
    ]


def test_timeline__waits_for_every_receiver_and_names_those_without_an_outcome() -> None:
    event = emit("count", "recommend", "tell")
    deliver(event, "count", State.DEAD)
    deliver(event, "recommend", State.RUNNING)

    assert timeline.wait_until_finished(NOON, seconds=0) == [
        "library.book_read → recommend",
        "library.book_read → tell",
    ]


def test_timeline__looks_at_nothing_from_before() -> None:
    emit("count")

    assert timeline.wait_until_finished(NOON + timedelta(seconds=1), seconds=0) == []


def test_timeline__sums_up() -> None:
    event = emit("count", "recommend")
    deliver(event, "count", State.DONE)
    deliver(event, "recommend", State.DONE)

    assert timeline.summary(NOON) == "1 events, 2 deliveries: 2 done"
