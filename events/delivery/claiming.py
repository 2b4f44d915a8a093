"""Claims as they go wrong: of events that are not ours to run, and of deliveries that have a record already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from events.delivery.claim import Claimer
from events.delivery.decoding import Item
from events.delivery.refusing import refuse
from events.models import Delivery


def insert_known(claimer: Claimer, items: Sequence[Item]) -> list[Item]:
    """Claim by insert; an event that is not in the outbox for this receiver is refused."""
    if claimer.insert(items) == len(items):
        return list(items)
    # Which ones is asked when there are any: next to never.
    known = refuse_strangers(claimer, items)
    claimer.release([item for item in items if item not in known])
    return known


def refuse_strangers(claimer: Claimer, items: Sequence[Item]) -> list[Item]:
    """Those whose event is in the outbox for this receiver; the others are refused."""
    strangers = claimer.strangers(items)
    for item in (item for item in items if item.event_id in strangers):
        _refuse(claimer, item, "is not in the outbox for this receiver: pruned, or aimed at another")
    return [item for item in items if item.event_id not in strangers]


def lock_known(claimer: Claimer, items: Sequence[Item], *, careful: bool = False) -> tuple[list[Item], int]:
    """Those of `items` that are ours to run; and how many were refused, of all others."""
    ours = claimer.lock(items, careful=careful) if items else []
    keys = {item.event_id for item in ours}
    return ours, refuse_unrecorded(claimer, [item for item in items if item.event_id not in keys])


def refuse_unrecorded(claimer: Claimer, items: Sequence[Item]) -> int:
    """Of those whose record should be there, and could not be locked: how many have none, pruned since."""
    gone = [item for item in sorted_out(claimer, items) if not item.recorded] if items else []
    for item in gone:
        _refuse(claimer, item, "has no record for this receiver any more: pruned since it was sent")
    return len(gone)


def _refuse(claimer: Claimer, item: Item, why: str) -> None:
    reason, id = f"event {item.event_id} {why}", str(claimer.message_id)
    refuse(claimer.using, reason, receiver=claimer.receiver, message_id=id)


def sorted_out(claimer: Claimer, items: Sequence[Item]) -> list[Item]:
    """After a claim met a record: which are to be inserted still, and which are to be locked."""
    ids = [item.event_id for item in items]
    rows = Delivery.objects.using(claimer.using).filter(receiver=claimer.receiver, event_id__in=ids)
    recorded = set(rows.values_list("event_id", flat=True))
    return [replace(item, recorded=item.event_id in recorded) for item in items]
