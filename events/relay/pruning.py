"""Finished events and their deliveries go by age, in batches that hold no lock for long."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from events.clock import after
from events.models import Delivery, EventRecord, Refusal, State

BATCH = 500
_DAY = 86_400


def prune(using: str, days: float, batch: int = BATCH) -> Iterator[int]:
    """Delete what finished more than `days` ago; yields how many events each batch took.

    An event stays while a delivery of it is unfinished or a dead letter.
    """
    while ids := _old(using, days, batch):
        with transaction.atomic(using=using):
            # Together: a message that comes again afterwards finds no event, and is refused.
            Delivery.objects.using(using).filter(event_id__in=ids)._raw_delete(using)
            EventRecord.objects.using(using).filter(pk__in=ids)._raw_delete(using)
        yield len(ids)
    Refusal.objects.using(using).filter(at__lt=after(-days * _DAY)).delete()


def _old(using: str, days: float, batch: int) -> list[UUID]:
    kept = (
        Delivery.objects.using(using)
        .filter(event=OuterRef("pk"))
        .exclude(state__in=[State.DONE, State.SKIPPED])
    )
    recorded = Delivery.objects.using(using).filter(event=OuterRef("pk"))
    old: QuerySet[EventRecord] = EventRecord.objects.using(using).filter(
        Exists(recorded), ~Exists(kept), emitted_at__lt=after(-days * _DAY), next_at=None
    )
    return list(old.order_by("emitted_at").values_list("pk", flat=True)[:batch])
