"""Which queues fall behind: their receivers are slower than what arrives, or too few workers serve them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from events.clock import after, now
from events.conf import settings
from events.models import IS_UNFINISHED, Delivery, EventRecord, Queue, State
from events.relay.workers import Workforce

logger = logging.getLogger("events")


class Due(NamedTuple):
    """The oldest delivery of a queue that no worker has taken yet."""

    since: datetime
    waited: timedelta

    @property
    def is_long(self) -> bool:
        return self.waited > timedelta(seconds=settings.MAX_WAIT)


class Behind(NamedTuple):
    queue: str
    # How long the oldest of its deliveries has been due, or in the broker.
    waited: timedelta


def oldest_due(using: str, queue: str, seconds: float = 0) -> Due | None:
    """One that has been due, or in the broker, for so long at least; None where none has."""
    found = [
        at for at in (_waiting(using, queue, seconds), _in_broker(using, queue, seconds)) if at is not None
    ]
    if not found:
        return None
    since = min(found)
    return Due(since, now(using) - since)


def behind(using: str) -> Iterator[Behind]:
    """Queues, none of them paused, in which a delivery is due for more than EVENTS["MAX_WAIT"] seconds."""
    for name in (
        Queue.objects.using(using).filter(paused=False).order_by("name").values_list("name", flat=True)
    ):
        due = oldest_due(using, name, settings.MAX_WAIT)
        if due is not None:
            yield Behind(name, due.waited)


def tell(using: str) -> None:
    """In the log: what a person should know before somebody complains."""
    for late in behind(using):
        logger.warning(
            "events.behind alias=%s queue=%s oldest_due_for=%.0fs remedy='more workers for it, or faster receivers'",
            using,
            late.queue,
            late.waited.total_seconds(),
        )


def _waiting(using: str, queue: str, seconds: float) -> datetime | None:
    """Since when the oldest is due that nobody sent yet."""
    rows = _of(using, queue, State.WAITING).filter(next_at__lte=after(-seconds))
    return rows.order_by("next_at").values_list("next_at", flat=True).first()


def _in_broker(using: str, queue: str, seconds: float) -> datetime | None:
    """Since when the oldest message waits for a worker: a slow receiver's whole backlog may be in the broker.

    Read are all that were sent, which is what the broker's window has room for. What a worker has taken doesn't wait
    any more, though it is said to have begun only when it commits so.
    """
    # What no relay sent left with its event. Looked up for each: see events.relay.counting.
    emitted = Subquery(EventRecord.objects.filter(pk=OuterRef("event_id")).values("emitted_at"))
    rows = _of(using, queue, State.SENT).annotate(since=Coalesce(F("sent_at"), emitted))
    sent = list(rows.filter(since__lte=after(-seconds)).values_list("since", "receiver", "event_id"))
    # Asked only where something is: as a rule nothing has waited for long.
    held = Workforce.read(using).held() if sent else frozenset()
    waiting = (since for since, receiver, event in sent if (receiver, str(event)) not in held)
    return min(waiting, default=None)


def _of(using: str, queue: str, state: State) -> QuerySet[Delivery]:
    return Delivery.objects.using(using).filter(IS_UNFINISHED, queue=queue, state=state)
