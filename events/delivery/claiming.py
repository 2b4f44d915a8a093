"""Claims as they go wrong: of events that are not ours to run, and of deliveries that have a record already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from events.delivery.claim import Claimer
from events.delivery.decoding import Item
from events.delivery.failing import refuse
from events.models import Delivery


def insert_known(claimer: Claimer, items: Sequence[Item]) -> list[Item]:
    """Claim by insert; an event that is not in the outbox for this receiver is refused."""
    claimer.insert(items)
    strangers = claimer.strangers(items)
    for item in (item for item in items if item.event_id in strangers):
        claimer.release([item])
        refuse(
            claimer.using,
            f"event {item.event_id} is not in the outbox for this receiver: pruned, or aimed at another",
            receiver=claimer.receiver,
            message_id=str(claimer.message_id),
        )
    return [item for item in items if item.event_id not in strangers]


def sorted_out(claimer: Claimer, items: Sequence[Item]) -> list[Item]:
    """After a claim met a record: which are to be inserted still, and which are to be locked."""
    ids = [item.event_id for item in items]
    rows = Delivery.objects.using(claimer.using).filter(receiver=claimer.receiver, event_id__in=ids)
    recorded = set(rows.values_list("event_id", flat=True))
    return [replace(item, recorded=item.event_id in recorded) for item in items]
