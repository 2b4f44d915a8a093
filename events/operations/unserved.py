"""Deliveries that wait for code which no live worker has: after a removal, before a deploy is complete."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from events.models import IS_UNFINISHED, Delivery
from events.relay.workers import Workforce


@dataclass(frozen=True, slots=True, kw_only=True)
class Unserved:
    queue: str
    receiver: str
    deliveries: int


def unserved(using: str, live: Workforce) -> tuple[Unserved, ...]:
    """By queue and receiver; a queue that no worker serves is another trouble, and not among them."""
    counts = unfinished_pairs(using)
    served = {queue for worker in live.workers for queue in worker.queues}
    return tuple(
        Unserved(queue=queue, receiver=receiver, deliveries=number)
        for (queue, receiver), number in sorted(counts.items())
        if queue in served and receiver not in live.receivers(queue)
    )


def unfinished_pairs(using: str) -> dict[tuple[str, str], int]:
    """(queue, receiver) → unfinished deliveries."""
    rows = Delivery.objects.using(using).filter(IS_UNFINISHED).order_by()
    return {
        (queue, receiver): n
        for queue, receiver, n in rows.values_list("queue", "receiver").annotate(n=Count("pk"))
    }
