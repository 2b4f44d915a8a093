"""What was refused is recorded: each kind of refusal is a row, and a flood of them is counted."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from events.clock import after
from events.delivery.waiting import skipping_locked
from events.identity import who
from events.models import Refusal
from events.texts import storable

logger = logging.getLogger("events")

# Seconds for which a row counts what is refused in the same words.
_HOUR = 3600
# Rows of an hour. Whoever forges messages chooses the words, so beyond that one row counts whatever else there is.
MOST = 100
OTHERS = "refused for many different reasons: these are those after the first in an hour"


def refuse(using: str, reason: str, *, receiver: str = "", message_id: str = "") -> None:
    """Record a message that was not run."""
    words = {"reason": storable(reason)[:300], "receiver": storable(receiver)[:200]}
    last = {"message_id": storable(message_id)[:200], "worker": who()}
    with transaction.atomic(using=using):
        rows = _of_this_hour(using)
        if _count(rows.filter(**words), last):
            return
        if rows.count() >= MOST:
            words = {"reason": OTHERS, "receiver": ""}
            if _count(rows.filter(**words), last):
                return
        Refusal.objects.using(using).create(**words, **last)
    logger.error("events.refused receiver=%s message=%s reason=%r", receiver, message_id, reason)


def _of_this_hour(using: str) -> QuerySet[Refusal]:
    # The first of the two is what the index knows.
    return Refusal.objects.using(using).filter(at__gt=after(-_HOUR), first_at__gt=after(-_HOUR))


def _count(rows: QuerySet[Refusal], last: dict[str, Any]) -> bool:
    """Whether there was a row to count it in. One that another worker has in hand is not waited for: it may run
    receivers before it commits."""
    key = skipping_locked(rows.order_by("pk")).values_list("pk", flat=True).first()
    if key is None:
        return False
    return bool(rows.filter(pk=key).update(count=F("count") + 1, at=Now(), **last))
