"""The dead letters, as a person looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Max, Min, QuerySet
from django.utils import timezone

from events.conf import settings
from events.delivery.fingerprints import normalised
from events.models import IS_DEAD, Delivery, State
from events.relay.jobs import Chosen
from events.texts import last_line

# Kinds of failure that are told apart in one list, those of most dead letters first.
MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Dead letters of one receiver that died of the same: see events.delivery.fingerprints."""

    receiver: str
    # "" of those that died before there were fingerprints.
    fingerprint: str
    count: int
    first: datetime | None
    last: datetime | None
    # The latest of them; None where it has just been redelivered.
    sample: Delivery | None

    @property
    def title(self) -> str:
        """What it is about, in one line: `ValueError: no user <n>`."""
        return normalised(last_line(self.sample.error)) if self.sample else ""


def groups(using: str, chosen: Chosen | None = None) -> list[Group]:
    """At most `MOST`; two statements, through the index of the dead alone however many deliveries are done."""
    rows = (chosen or Chosen()).rows(using).order_by()
    found = list(
        rows.values("receiver", "fingerprint")
        .annotate(count=Count("pk"), first=Min("finished_at"), last=Max("finished_at"), sample=Max("pk"))
        .order_by("-count", "receiver", "fingerprint")[:MOST]
    )
    latest = Delivery.objects.using(using).filter(pk__in=[each["sample"] for each in found], state=State.DEAD)
    samples = latest.select_related("event").defer("event__envelope").in_bulk()
    return [_group(each, samples) for each in found]


def _group(row: Mapping[str, Any], samples: dict[int, Delivery]) -> Group:
    return Group(**{**row, "sample": samples.get(row["sample"])})


class FailingReceiver(NamedTuple):
    receiver: str
    dead: int
    oldest: datetime | None


def failures(using: str, chosen: Chosen | None = None) -> QuerySet[Delivery]:
    """Dead letters with their events, the latest first."""
    rows = (chosen or Chosen()).rows(using)
    return rows.select_related("event").defer("event__envelope").order_by("-finished_at", "-pk")


def by_receiver(using: str) -> list[FailingReceiver]:
    """Through the partial index of the dead alone, however many deliveries are done."""
    rows = Delivery.objects.using(using).filter(IS_DEAD).order_by()
    grouped = rows.values("receiver").annotate(dead=Count("pk"), oldest=Min("finished_at"))
    found = [FailingReceiver(row["receiver"], row["dead"], row["oldest"]) for row in grouped]
    return sorted(found, key=lambda each: (-each.dead, each.receiver))


def forgotten_letters(using: str) -> int:
    """How many are older than EVENTS["MAX_DEAD_LETTER_AGE"]: nobody has looked for that long."""
    before = timezone.now() - timedelta(days=settings.MAX_DEAD_LETTER_AGE)
    return Delivery.objects.using(using).filter(IS_DEAD, finished_at__lt=before).count()
