"""Past events again, chosen by type, time and receiver; to a receiver that is new since then, too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from events.deeds import Deed
from events.models import Action
from events.operations.jobs import NothingChosen
from events.registry import registry
from events.relay.replaying import Past, Replayed, count_some, replay_some
from events.relay.replays import Order
from events.relay.slices import batches
from events.texts import storable

logger = logging.getLogger("events")

# Events that are counted beforehand, for a job's progress: of more, how many is not known until it has ended.
_COUNTED = 100_000


def replay(
    using: str, past: Past, *, receiver: str | None, by: str, why: str = "", dry_run: bool = False
) -> Iterator[Replayed]:
    """Here and now; yields the totals so far. Raises `UnknownReceiver`. See events.relay.replaying."""
    if receiver is not None:
        registry.get(receiver)
    total = Replayed()
    deed = Deed(using=using, by=by, what="replayed", target=past.named(receiver), why=why)
    for events in batches(past.events(using)):
        if dry_run:
            count_some(using, events, receiver, total)
        else:
            before = total.deliveries
            with transaction.atomic(using=using):
                replay_some(using, events, receiver, total)
                deed.add(total.deliveries - before)
        yield total
    if not dry_run:
        logger.info(
            "events.replayed by=%r past=%r receiver=%s deliveries=%d", by, past, receiver, total.deliveries
        )


def start_replay(
    using: str,
    past: Past,
    *,
    receiver: str | None,
    by: str,
    why: str = "",
    rate: float | None = None,
    dry_run: bool = False,
    last: UUID | None = None,
) -> Action:
    """The same as a job of the relays, at most `rate` deliveries a second.

    Events after `last`, or emitted later than now, are not among them. Raises `UnknownReceiver`, `NothingChosen`.
    """
    if receiver is not None:
        registry.get(receiver)
    rows = past.events(using)
    if last is not None:
        rows = rows.filter(pk__lte=last)
    last = rows.order_by("-pk").values_list("pk", flat=True).first()
    if last is None:
        raise NothingChosen("No event fits that.")
    number = rows.order_by()[: _COUNTED + 1].count()
    job = Action.objects.using(using).create(
        by=storable(by)[:200],
        what="counted" if dry_run else "replayed",
        target=past.named(receiver)[:300],
        why=storable(why),
        state=Action.State.RUNNING,
        chosen=Order(past=past, receiver=receiver, last=last).dump(),
        total=number if number <= _COUNTED else None,
        rate=rate,
        next_at=Now(),
    )
    logger.info("events.job id=%d by=%r what=%s target=%r", job.pk, by, job.what, job.target)
    return job
