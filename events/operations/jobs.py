"""Jobs as a person sees them: asked for, watched, stopped and let go on. Relays do the work: events.relay.jobs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Literal

from django.db import transaction
from django.db.models import Count, Max, QuerySet
from django.db.models.functions import Now

from events.deeds import Deed
from events.exceptions import EventsError
from events.models import Action, Delivery
from events.relay.jobs import IS_RUNNING, Chosen
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
    now is not among them. Asked for twice by the same one, as by a double click, it is one job, until that has ended.
    Raises `NothingChosen`.
    """
    rows = chosen.rows(using)
    total, last = rows.count(), rows.aggregate(last=Max("pk"))["last"]
    if last is None:
        raise NothingChosen("No dead letter fits that, or not any more.")
    job = Action(
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
    with transaction.atomic(using=using):
        # Whoever asks for the same just now waits here, and then sees our row.
        Delivery.objects.using(using).select_for_update().filter(pk=last).first()
        same = _same(using, job, chosen)
        if same is not None:
            return same
        job.save(using=using)
    logger.info("events.job id=%d by=%r what=%s target=%r total=%d", job.pk, by, what, job.target, job.total)
    return job


def _same(using: str, job: Action, chosen: Chosen) -> Action | None:
    """One that runs and still has as many before it."""
    how = {"by": job.by, "what": job.what, "why": job.why, "rate": job.rate, "first_alone": job.first_alone}
    for running in Action.objects.using(using).filter(IS_RUNNING, target=job.target, **how).order_by("pk"):
        left = (running.total or 0) - running.passed
        if Chosen.load(running.chosen or {}) == chosen and left >= (job.total or 0):
            return running
    return None


def stop(using: str, pk: int, *, by: str, why: str = "") -> bool:
    """Whether it was running until now; what it has done is done."""
    values = {
        "state": Action.State.STOPPED,
        "next_at": None,
        "finished_at": Now(),
        "outcome": f"stopped by {by}",
    }
    return _turn(using, pk, Action.State.RUNNING, values, Deed(using=using, by=by, what="stopped", why=why))


def go_on(using: str, pk: int, *, by: str, why: str = "") -> bool:
    """Whether it had been stopped: it goes on with the next, however the first ended."""
    values = {
        "state": Action.State.RUNNING,
        "next_at": Now(),
        "finished_at": None,
        "first_alone": False,
        "first": None,
        "outcome": f"let go on by {by}",
    }
    return _turn(using, pk, Action.State.STOPPED, values, Deed(using=using, by=by, what="let go on", why=why))


def _turn(using: str, pk: int, before: str, values: dict[str, Any], deed: Deed) -> bool:
    with transaction.atomic(using=using):
        rows = Action.objects.using(using).filter(pk=pk, state=before)
        changed = rows.update(**{**values, "outcome": storable(values["outcome"])})
        if changed:
            row = Action.objects.using(using).get(pk=pk)
            deed.target = f"action {pk}: {row.what} {row.target}"
            deed.add(1)
    return changed > 0


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


def note(using: str, receiver: str, fingerprint: str, text: str, *, by: str) -> None:
    """For the next person who looks at this kind of failure."""
    target = group_name(receiver, fingerprint)
    with transaction.atomic(using=using):
        Deed(using=using, by=by, what="noted", target=target, why=text).add(1)


def story(using: str, receiver: str, fingerprint: str) -> QuerySet[Action]:
    """What was noted about this kind of failure, and done with it; the latest first."""
    return Action.objects.using(using).filter(target=group_name(receiver, fingerprint))


def notes(using: str, kinds: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """(receiver, fingerprint) → how many notes there are about it."""
    names = {group_name(*kind): kind for kind in kinds}
    rows = Action.objects.using(using).filter(target__in=list(names), what="noted").order_by()
    return {names[target]: n for target, n in rows.values_list("target").annotate(n=Count("pk"))}
