"""Was it lost? What was sent and not heard of is looked for: in the broker first, then with the workers.

In that order: a message moves from the broker to a worker, so one that is in neither, read so, was in
neither at the second reading, unless its worker hasn't said so yet. Hence two looks, a beat apart.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connections, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from events.clock import LOOK_AFTER, after
from events.delivery.returning import LOST_OFTEN
from events.models import IS_UNFINISHED, Delivery, State
from events.relay.workers import Pair

# Seconds until the second look at what is not in sight: longer than a beat.
LOOK_TWICE = 6
BATCH = 1000


class Sent(NamedTuple):
    """What is read of a delivery: a thousand instances of its model would be twelve megabytes more, for good."""

    pk: int
    event_id: UUID
    receiver: str
    state: str
    attempt: int
    tries: int
    suspect_at: datetime | None


def examine(using: str, queue: str, in_broker: frozenset[Pair], held: frozenset[Pair]) -> int:
    """Look for what is due; how many were lost and wait to be sent again."""
    skips = connections[using].features.has_select_for_update_skip_locked
    with transaction.atomic(using=using) if skips else nullcontext():
        due = _due(using, queue)
        # What a worker has locked it is running: to wait for that one would hold up every queue.
        rows = due.select_for_update(skip_locked=True) if skips else due
        return _examined(using, [Sent(*row) for row in rows.values_list(*Sent._fields)], in_broker | held)


def _examined(using: str, due: list[Sent], somewhere: frozenset[Pair]) -> int:
    in_sight = [row for row in due if _pair(row) in somewhere]
    seen = {row.pk for row in in_sight}
    unseen = [row for row in due if row.pk not in seen]
    lost = [row for row in unseen if row.suspect_at is not None]
    _update(using, in_sight, next_at=after(LOOK_AFTER), suspect_at=None)
    _update(
        using, [row for row in unseen if row.suspect_at is None], next_at=after(LOOK_TWICE), suspect_at=Now()
    )
    _send_again(using, lost)
    return len(lost)


def _due(using: str, queue: str) -> QuerySet[Delivery]:
    rows = Delivery.objects.using(using).filter(IS_UNFINISHED, queue=queue)
    return rows.filter(state__in=[State.SENT, State.RUNNING], next_at__lte=Now()).order_by("next_at")[:BATCH]


def _send_again(using: str, lost: list[Sent]) -> None:
    for state in (State.SENT, State.RUNNING):
        rows = [row for row in lost if row.state == state]
        _update(using, [row for row in rows if not _may_have_killed(row)], **_waiting())
        _update(using, [row for row in rows if _may_have_killed(row)], careful=True, **_waiting())


def _may_have_killed(row: Sent) -> bool:
    """It was begun and nobody holds it: whoever ran it is gone, and may have died of it.

    So may one who had no time to say what he holds: a poison ends a pool without processes, or a whole container,
    at once. What got lost again and again without a failure is therefore no longer taken for the broker's loss.
    """
    return row.state == State.RUNNING or row.attempt - row.tries >= LOST_OFTEN


def _waiting() -> dict[str, object]:
    return {"state": State.WAITING, "next_at": Now(), "suspect_at": None}


def _update(using: str, rows: list[Sent], **values: object) -> None:
    if not rows:
        return
    # A worker may have finished it since we read it: then it is not ours to change.
    states = {row.state for row in rows}
    keys = [row.pk for row in rows]
    Delivery.objects.using(using).filter(pk__in=keys, state__in=states).update(**values)


def _pair(row: Sent) -> Pair:
    return row.receiver, str(row.event_id)
