"""The dead letters, as a person looks at them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from events.conf import settings
from events.models import Delivery, State


class FailingReceiver(NamedTuple):
    receiver: str
    dead: int
    oldest: datetime | None


def failures(using: str, receiver: str | None = None) -> QuerySet[Delivery]:
    """Dead letters with their events, the latest first."""
    rows = Delivery.objects.using(using).filter(state=State.DEAD)
    if receiver is not None:
        rows = rows.filter(receiver=receiver)
    return rows.select_related("event").defer("event__envelope").order_by("-finished_at", "-pk")


def by_receiver(using: str) -> list[FailingReceiver]:
    """Through the partial index of the dead alone, however many deliveries are done."""
    rows = Delivery.objects.using(using).filter(state=State.DEAD).order_by()
    grouped = rows.values("receiver").annotate(dead=Count("pk"), oldest=Min("finished_at"))
    found = [FailingReceiver(row["receiver"], row["dead"], row["oldest"]) for row in grouped]
    return sorted(found, key=lambda each: (-each.dead, each.receiver))


def forgotten_letters(using: str) -> int:
    """How many are older than EVENTS["MAX_DEAD_LETTER_AGE"]: nobody has looked for that long."""
    before = timezone.now() - timedelta(days=settings.MAX_DEAD_LETTER_AGE)
    return Delivery.objects.using(using).filter(state=State.DEAD, finished_at__lt=before).count()


def last_line(error: str) -> str:
    """What a traceback says: its last line that isn't blank."""
    lines = [line for line in error.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
