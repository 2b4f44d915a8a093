"""Dead letters: sent again, or given up for good."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from events.models import Delivery, EventRecord, State
from events.texts import storable


def send_again(using: str, keys: Sequence[int]) -> int:
    """Those of `keys` that are dead wait again, with all their tries before them, if their event is there; how many.

    Careful ones stay careful, and the last error stays until the next outcome.
    """
    event = EventRecord.objects.using(using).filter(pk=OuterRef("event_id"))
    rows = _dead(using, keys).filter(Exists(event))
    return rows.update(
        state=State.WAITING, tries=0, next_at=Now(), suspect_at=None, finished_at=None, reason=""
    )


def give_up(using: str, keys: Sequence[int], *, by: str, why: str) -> int:
    """Those of `keys` that are dead end as skipped, the error kept; how many."""
    reason = f"discarded by {by}" + (f": {why}" if why else "")
    return _dead(using, keys).update(
        state=State.SKIPPED, reason=storable(reason)[:200], finished_at=Now(), next_at=None
    )


def _dead(using: str, keys: Sequence[int]) -> QuerySet[Delivery]:
    # The state is asked in the statement itself: it may have changed since the person looked.
    return Delivery.objects.using(using).filter(pk__in=keys, state=State.DEAD)
