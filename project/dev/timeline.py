"""What became of each event, as the bus's own tables tell it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from events.models import Delivery, EventRecord, State

FINISHED = {State.DONE, State.SKIPPED, State.DEAD}
MARKS = {State.DONE: "✓", State.SKIPPED: "–", State.DEAD: "✗"}


def events_since(moment: datetime) -> list[EventRecord]:
    return list(
        EventRecord.objects.filter(emitted_at__gte=moment).order_by("id").prefetch_related("deliveries")
    )


def unfinished(events: Iterable[EventRecord]) -> Iterator[str]:
    """`event → receiver` for each that has no outcome yet."""
    for event in events:
        finished = {delivery.receiver for delivery in event.deliveries.all() if delivery.state in FINISHED}
        for receiver in sorted(set(event.receivers) - finished):
            yield f"{event.type} → {receiver}"


def wait_until_finished(moment: datetime, seconds: float) -> list[str]:
    """Until every event since then has an outcome with every receiver; what still has none at the end."""
    deadline = time.monotonic() + seconds
    while (open_ones := list(unfinished(events_since(moment)))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return open_ones


def milliseconds(event: EventRecord, delivery: Delivery) -> int:
    """From the emission to the end of the receiver."""
    if delivery.finished_at is None:
        return 0
    return round((delivery.finished_at - event.emitted_at).total_seconds() * 1000)


def lines(events: Iterable[EventRecord]) -> Iterator[str]:
    for event in events:
        yield f"    {event.type}  {event.subject}".rstrip()
        for delivery in sorted(event.deliveries.all(), key=lambda one: one.receiver):
            mark = MARKS.get(State(delivery.state), "…")
            why = f"  {delivery.reason or ''}".rstrip() if delivery.state != State.DONE else ""
            outcome = f"{mark} {delivery.state:<8}{milliseconds(event, delivery):>6} ms"
            yield f"      → {delivery.receiver:<46} {outcome}{why}"


def summary(moment: datetime) -> str:
    deliveries = Delivery.objects.filter(event__emitted_at__gte=moment)
    counted = Counter(deliveries.values_list("state", flat=True))
    events = EventRecord.objects.filter(emitted_at__gte=moment).count()
    parts = ", ".join(f"{count} {state}" for state, count in sorted(counted.items()))
    return f"{events} events, {counted.total()} deliveries: {parts}"
