"""Dead letters: sent again, or given up for good."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from events.deeds import Deed
from events.models import Delivery, EventRecord, State
from events.operations.slices import slices
from events.texts import storable

logger = logging.getLogger("events")

# Ids that the record of an action names; of more it says how many.
_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Dead letters that a person named, and what was wrong with the other names."""

    keys: tuple[int, ...]
    # The name as given → why it names no dead letter.
    refused: dict[str, str]


def choose(using: str, names: Sequence[str]) -> Chosen:
    """The dead letters called by `names`: ids of deliveries, or of events for all of theirs."""
    keys: dict[int, None] = {}
    refused: dict[str, str] = {}
    for name in names:
        rows = _named(using, name)
        if rows is None:
            refused[name] = "is neither the id of a delivery nor of an event"
            continue
        states = dict(rows.values_list("pk", "state"))
        dead = [pk for pk, state in states.items() if state == State.DEAD]
        keys |= dict.fromkeys(dead)
        if not states:
            refused[name] = "is not in the database"
        elif not dead:
            refused[name] = f"is {', '.join(sorted(set(states.values())))}: only dead letters are redelivered"
    return Chosen(keys=tuple(keys), refused=refused)


def _named(using: str, name: str) -> QuerySet[Delivery] | None:
    rows = Delivery.objects.using(using)
    # Eighteen digits fit into every database's bigint.
    if name.isascii() and name.isdigit() and len(name) <= 18:
        return rows.filter(pk=int(name))
    try:
        return rows.filter(event_id=UUID(name))
    except ValueError:
        return None


def dead_letters(using: str, *, receiver: str | None = None, limit: int | None = None) -> list[int]:
    """Their ids, the oldest first."""
    rows = Delivery.objects.using(using).filter(state=State.DEAD)
    if receiver is not None:
        rows = rows.filter(receiver=receiver)
    return list(rows.order_by("finished_at", "pk").values_list("pk", flat=True)[:limit])


def redeliver(using: str, keys: Sequence[int], *, by: str, why: str = "") -> Iterator[int]:
    """Let dead letters be tried afresh, all their tries before them; yields how many of each batch were.

    Careful ones stay careful, and the last error stays until the next outcome. What is not dead, or whose
    event is gone, is left as it is.
    """
    deed = Deed(using=using, by=by, what="redelivered", target=_called(keys), why=why)
    for some in slices(keys):
        event = EventRecord.objects.using(using).filter(pk=OuterRef("event_id"))
        with transaction.atomic(using=using):
            number = (
                _dead(using, some)
                .filter(Exists(event))
                .update(
                    state=State.WAITING, tries=0, next_at=Now(), suspect_at=None, finished_at=None, reason=""
                )
            )
            deed.add(number)
        yield number
        logger.info("events.redelivered by=%r deliveries=%s", by, list(some))


def discard(using: str, keys: Sequence[int], *, by: str, why: str = "") -> Iterator[int]:
    """Give dead letters up: they end as skipped, the error kept; yields how many of each batch did."""
    deed = Deed(using=using, by=by, what="discarded", target=_called(keys), why=why)
    reason = f"discarded by {by}" + (f": {why}" if why else "")
    for some in slices(keys):
        with transaction.atomic(using=using):
            number = _dead(using, some).update(
                state=State.SKIPPED, reason=storable(reason)[:200], finished_at=Now(), next_at=None
            )
            deed.add(number)
        yield number
        logger.info("events.discarded by=%r deliveries=%s", by, list(some))


def _dead(using: str, keys: Sequence[int]) -> QuerySet[Delivery]:
    # The state is asked in the statement itself: it may have changed since the person looked.
    return Delivery.objects.using(using).filter(pk__in=keys, state=State.DEAD)


def _called(keys: Sequence[int]) -> str:
    if len(keys) > _NAMED:
        return f"{len(keys):,} deliveries"
    return f"{'delivery' if len(keys) == 1 else 'deliveries'} {', '.join(map(str, keys))}"
