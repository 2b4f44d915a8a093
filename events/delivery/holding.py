"""Back to the table: deliveries that a worker has in hand, and that are not to run now."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models.functions import Now

from events.delivery.claim import AlreadyRecorded, Claimer
from events.delivery.claiming import insert_known, sorted_out
from events.delivery.decoding import Item
from events.models import Delivery, State


def hold(claimer: Claimer, items: Sequence[Item]) -> int:
    """Paused since they were sent: back to the table, where the relay leaves them until somebody resumes."""
    for item in sorted_out(claimer, items):
        waiting = {"state": State.WAITING, "next_at": Now(), "suspect_at": None, "finished_at": None}
        with transaction.atomic(using=claimer.using):
            if not item.recorded:
                try:
                    with transaction.atomic(using=claimer.using):
                        if not insert_known(claimer, [item]):
                            continue
                except AlreadyRecorded:
                    continue
                state = claimer.state
            else:
                state = State.SENT
            rows = Delivery.objects.using(claimer.using).filter(
                receiver=claimer.receiver, event_id=item.event_id
            )
            rows.filter(state=state).update(**waiting)
    return len(items)
