"""Jobs as a person sees them: asked for, watched, stopped and let go on. Relays do the work: events.relay.jobs."""

from __future__ import annotations

import logging
from typing import Literal

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from events.exceptions import EventsError
from events.models import Action
from events.relay.jobs import Chosen
from events.texts import storable

logger = logging.getLogger("events")

What = Literal["redelivered", "discarded"]
# Ids that one job may name; more are chosen by what they have in common.
MOST_NAMED = 10_000


class NothingChosen(EventsError, LookupError):
    """No dead letter fits what was asked for."""


def start(
    using: str,
    chosen: Chosen,
    what: What,
    *,
    by: str,
    why: str = "",
    rate: float | None = None,
    first_alone: bool = False,
    limit: int | None = None,
) -> Action:
    """Ask for it: `rate` deliveries a second at most, the oldest first and at most `limit` of them.

    `first_alone`: the others wait until the first has succeeded; if it fails, the job stops. What dies later than
    now is not among them. Raises `NothingChosen`.
    """
    rows = chosen.rows(using)
    total, last = rows.count(), rows.aggregate(last=Max("pk"))["last"]
    if last is None:
        raise NothingChosen("No dead letter fits that, or not any more.")
    job = Action.objects.using(using).create(
        by=storable(by)[:200],
        what=what,
        target=describe(chosen)[:300],
        why=storable(why),
        state=Action.State.RUNNING,
        chosen=chosen.dump(),
        total=total if limit is None else min(total, limit),
        last=last,
        rate=rate,
        first_alone=first_alone,
        next_at=Now(),
    )
    logger.info("events.job id=%d by=%r what=%s target=%r total=%d", job.pk, by, what, job.target, job.total)
    return job


def stop(using: str, pk: int, *, by: str) -> bool:
    """Whether it was running until now; what it has done is done."""
    with transaction.atomic(using=using):
        rows = Action.objects.using(using).filter(pk=pk, state=Action.State.RUNNING)
        return (
            rows.update(
                state=Action.State.STOPPED,
                next_at=None,
                finished_at=Now(),
                outcome=storable(f"stopped by {by}"),
            )
            > 0
        )


def go_on(using: str, pk: int, *, by: str) -> bool:
    """Whether it had been stopped: it goes on with the next, however the first ended."""
    rows = Action.objects.using(using).filter(pk=pk, state=Action.State.STOPPED)
    return (
        rows.update(
            state=Action.State.RUNNING,
            next_at=Now(),
            finished_at=None,
            first_alone=False,
            first=None,
            outcome=storable(f"let go on by {by}"),
        )
        > 0
    )


def describe(chosen: Chosen) -> str:
    """In words, for the record: `group 0f3a… of workers.emails.send`."""
    if chosen.keys is not None:
        return f"{len(chosen.keys):,} deliveries"
    words = []
    if chosen.fingerprint is not None and chosen.receiver:
        words.append(group_name(chosen.receiver, chosen.fingerprint))
    elif chosen.receiver:
        words.append(f"of {chosen.receiver}")
    words += [f"in queue {chosen.queue}"] if chosen.queue else []
    words += [f"of type {chosen.type}"] if chosen.type else []
    words += [f"since {chosen.since:%Y-%m-%d %H:%M:%S}"] if chosen.since else []
    words += [f"until {chosen.until:%Y-%m-%d %H:%M:%S}"] if chosen.until else []
    return " ".join(words) or "all dead letters"


def group_name(receiver: str, fingerprint: str) -> str:
    return f"group {fingerprint or 'none'} of {receiver}"
