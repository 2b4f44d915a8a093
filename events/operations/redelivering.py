"""Dead letters: sent again, or given up for good."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from events.deeds import Deed
from events.models import Delivery, State
from events.relay.jobs import Chosen
from events.relay.letters import give_up, send_again
from events.relay.slices import slices

logger = logging.getLogger("events")

# Ids that the record of an action names; of more it says how many.
_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Dead letters that a person named, and what was wrong with the other names."""

    keys: tuple[int, ...]
    # The name as given → why it names no dead letter.
    refused: dict[str, str]


def choose(using: str, names: Sequence[str]) -> Named:
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
    return Named(keys=tuple(keys), refused=refused)


def _named(using: str, name: str) -> QuerySet[Delivery] | None:
    rows = Delivery.objects.using(using)
    # Eighteen digits fit into every database's bigint.
    if name.isascii() and name.isdigit() and len(name) <= 18:
        return rows.filter(pk=int(name))
    try:
        return rows.filter(event_id=UUID(name))
    except ValueError:
        return None


def dead_letters(using: str, chosen: Chosen | None = None, *, limit: int | None = None) -> list[int]:
    """Their ids, the oldest first."""
    rows = (chosen or Chosen()).rows(using)
    return list(rows.order_by("finished_at", "pk").values_list("pk", flat=True)[:limit])


def redeliver(using: str, keys: Sequence[int], *, by: str, why: str = "", target: str = "") -> Iterator[int]:
    """Let dead letters be tried afresh, all their tries before them; yields how many of each batch were.

    Careful ones stay careful, and the last error stays until the next outcome. What is not dead, or whose
    event is gone, is left as it is.
    """
    deed = Deed(using=using, by=by, what="redelivered", target=target or _called(keys), why=why)
    for some in slices(keys):
        with transaction.atomic(using=using):
            number = send_again(using, some)
            deed.add(number)
        yield number
        logger.info("events.redelivered by=%r deliveries=%s", by, list(some))


def discard(using: str, keys: Sequence[int], *, by: str, why: str = "", target: str = "") -> Iterator[int]:
    """Give dead letters up: they end as skipped, the error kept; yields how many of each batch did."""
    deed = Deed(using=using, by=by, what="discarded", target=target or _called(keys), why=why)
    for some in slices(keys):
        with transaction.atomic(using=using):
            number = give_up(using, some, by=by, why=why)
            deed.add(number)
        yield number
        logger.info("events.discarded by=%r deliveries=%s", by, list(some))


def _called(keys: Sequence[int]) -> str:
    if len(keys) > _NAMED:
        return f"{len(keys):,} deliveries"
    return f"{'delivery' if len(keys) == 1 else 'deliveries'} {', '.join(map(str, keys))}"
