"""What the tests of figures share: deliveries that ended at a moment, and a relay that has counted them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from events.ids import uuid7
from events.models import Delivery, EventRecord, Meter, State
from events.relay.metering import MINUTE, Reader, floor

RECEIVER = "tests.first"


def ended(
    at: datetime,
    *,
    number: int = 1,
    state: State = State.DONE,
    receiver: str = RECEIVER,
    waited: float = 0.1,
    ran: float = 0.01,
    tries: int = 0,
) -> list[Delivery]:
    """Deliveries that ended at that moment."""
    events = [
        EventRecord(
            id=uuid7(),
            type="tests.happened",
            correlation_id=uuid7(),
            receivers={receiver: "default"},
            envelope="{}",
            emitted_at=at - timedelta(seconds=ran + waited),
        )
        for _ in range(number)
    ]
    EventRecord.objects.bulk_create(events)
    return Delivery.objects.bulk_create(
        Delivery(
            event=event,
            receiver=receiver,
            queue="default",
            state=state,
            tries=tries,
            started_at=at - timedelta(seconds=ran),
            finished_at=at,
        )
        for event in events
    )


def read(reader: Reader | None = None) -> None:
    for _ in (reader or Reader("default")).read():
        pass


def counted(*, minutes_ago: int = 1, **options: Any) -> None:
    """Deliveries that ended in that minute, as a relay has counted them."""
    at = floor(timezone.now()) - minutes_ago * MINUTE
    ended(at, **options)
    Meter.objects.update(counted_to=at - MINUTE)
    read()
