"""Which queues fall behind: their receivers are slower than what arrives, or too few workers serve them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import QuerySet
from django.utils import timezone

from events.clock import after
from events.conf import settings
from events.models import IS_UNFINISHED, Delivery, Queue, State

logger = logging.getLogger("events")


class Behind(NamedTuple):
    queue: str
    # Since when the oldest of its deliveries is due.
    since: datetime

    @property
    def waited(self) -> timedelta:
        return timezone.now() - self.since


def due_since(using: str, queue: str) -> datetime | None:
    """Since when the oldest delivery is due that nobody sent yet; None where none is."""
    return _first(_due(using, queue, 0))


def behind(using: str) -> Iterator[Behind]:
    """Queues, none of them paused, in which a delivery is due for more than EVENTS["MAX_WAIT"] seconds."""
    for name in (
        Queue.objects.using(using).filter(paused=False).order_by("name").values_list("name", flat=True)
    ):
        since = _first(_due(using, name, settings.MAX_WAIT))
        if since is not None:
            yield Behind(name, since)


def tell(using: str) -> None:
    """In the log: what a person should know before somebody complains."""
    for late in behind(using):
        logger.warning(
            "events.behind alias=%s queue=%s oldest_due_for=%.0fs remedy='more workers for it, or faster receivers'",
            using,
            late.queue,
            late.waited.total_seconds(),
        )


def _due(using: str, queue: str, seconds: float) -> QuerySet[Delivery]:
    rows = Delivery.objects.using(using).filter(IS_UNFINISHED, queue=queue, state=State.WAITING)
    return rows.filter(next_at__lte=after(-seconds))


def _first(rows: QuerySet[Delivery]) -> datetime | None:
    return rows.order_by("next_at").values_list("next_at", flat=True).first()
