"""What a person asked for that takes longer than a request may: dead letters by the thousand, in small steps.

A job is an action's row with the state running. Every relay looks for such rows and takes one step of one that is
due, in a transaction of its own: so a job survives whatever restarts, two relays share it, and its pace holds.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.db.models.lookups import Exact
from django.utils.dateparse import parse_datetime

from events.clock import after
from events.delivery.waiting import skipping_locked
from events.exceptions import UnknownReceiver
from events.models import IS_DEAD, Action, Delivery, State
from events.relay import replays
from events.relay.letters import give_up, send_again
from events.texts import last_line, storable

logger = logging.getLogger("events")

# Deliveries of one step.
STEP = 500
_REPLAYS = ("replayed", "counted")
# Seconds until it is asked again what became of the first.
_ASK_AGAIN = 1.0
_MOMENT = timedelta(seconds=1)
# As literal words, for a partial index: see events.models.
IS_RUNNING = Exact(F("state"), RawSQL(f"'{Action.State.RUNNING}'", ()))  # noqa: S611 - our own words


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which dead letters: those of `keys`, or those that fit everything else that is given."""

    keys: tuple[int, ...] | None = None
    receiver: str = ""
    fingerprint: str | None = None
    queue: str = ""
    # Of the event.
    type: str = ""
    # They died from `since` on, and before `until`.
    since: datetime | None = None
    until: datetime | None = None

    def rows(self, using: str) -> QuerySet[Delivery]:
        rows = Delivery.objects.using(using).filter(IS_DEAD)
        if self.keys is not None:
            return rows.filter(pk__in=self.keys)
        conditions = {
            "receiver": self.receiver or None,
            "fingerprint": self.fingerprint,
            "queue": self.queue or None,
            "event__type": self.type or None,
            "finished_at__gte": self.since,
            "finished_at__lt": self.until,
        }
        return rows.filter(**{name: value for name, value in conditions.items() if value is not None})

    def dump(self) -> dict[str, Any]:
        times = {"since": self.since, "until": self.until}
        return {**asdict(self), **{name: at and at.isoformat() for name, at in times.items()}}

    @classmethod
    def load(cls, data: dict[str, Any]) -> Chosen:
        times = {name: parse_datetime(data[name]) if data[name] else None for name in ("since", "until")}
        keys = data["keys"]
        return cls(**{**data, **times, "keys": keys if keys is None else tuple(keys)})


def work(using: str) -> bool:
    """Take a step of a job that is due; whether there was one."""
    # Asked first without a lock, which on SQLite would be the whole database's.
    due = Action.objects.using(using).filter(IS_RUNNING, next_at__lte=Now())
    if not due.exists():
        return False
    with transaction.atomic(using=using):
        job = skipping_locked(due.order_by("next_at", "pk")).first()
        if job is None:
            return False
        _tried(using, job)
        job.save(using=using)
    if job.state != Action.State.RUNNING:
        logger.info(
            "events.job id=%d state=%s count=%d outcome=%r", job.pk, job.state, job.count, job.outcome
        )
    return True


def _tried(using: str, job: Action) -> None:
    try:
        with transaction.atomic(using=using):
            _step(using, job)
    except (OperationalError, InterfaceError):
        # It passes by itself, as a rule: the same step again.
        raise
    except Exception as error:
        # Tried again by every relay, it would fail for ever, and keep all other jobs from their turn.
        logger.exception("events.job id=%d remedy='stopped: let it go on when that is put right'", job.pk)
        job.refresh_from_db(using=using)
        job.outcome = storable(f"It failed: {error!r}"[:500])
        _end(job, Action.State.STOPPED)


def _step(using: str, job: Action) -> None:
    if job.what in _REPLAYS:
        _replay(using, job)
    else:
        _work_off(using, job)


def _replay(using: str, job: Action) -> None:
    try:
        more = replays.step(using, job)
    except UnknownReceiver as error:
        # This relay's code lacks it, or every one's does: nothing is done without somebody's asking again.
        job.outcome = str(error)
        _end(job, Action.State.STOPPED)
        return
    if not more:
        _end(job, Action.State.DONE)


def _work_off(using: str, job: Action) -> None:
    if job.first is not None and not _is_settled(using, job, job.first):
        return
    # A second more: one that died in the moment of asking is among those counted.
    rows = Chosen.load(job.chosen).rows(using).filter(finished_at__lt=job.at + _MOMENT)
    rows = rows.filter(pk__gt=job.cursor, pk__lte=job.last)
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[: _size(job)])
    if keys:
        _act(using, job, keys)
    if job.first is None and (not keys or job.passed >= (job.total or 0)):
        _end(job, Action.State.DONE)


def _size(job: Action) -> int:
    left = max((job.total or 0) - job.passed, 0)
    if job.first_alone:
        return min(1, left)
    return min(STEP, left, max(int(job.rate), 1) if job.rate else STEP)


def _act(using: str, job: Action, keys: list[int]) -> None:
    gives_up = job.what == "discarded"
    number = give_up(using, keys, by=job.by, why=job.why) if gives_up else send_again(using, keys)
    job.count += number
    job.passed += len(keys)
    job.cursor = keys[-1]
    job.next_at = after(len(keys) / job.rate if job.rate else 0)
    if job.first_alone and number:
        job.first, job.next_at = keys[0], after(_ASK_AGAIN)


def _is_settled(using: str, job: Action, first: int) -> bool:
    """Whether the rest may follow the first: not as long as it runs, nor where it failed, which ends the job."""
    row = Delivery.objects.using(using).filter(pk=first).defer("failures").first()
    # A careful one's try is counted before it runs: what runs, or is done, has not failed by that one.
    begun = row is not None and row.careful and row.state in (State.RUNNING, State.DONE, State.SKIPPED)
    if row is not None and (row.state == State.DEAD or row.tries > int(begun)):
        job.outcome = f"The first of them, delivery {row.pk}, failed again: {last_line(row.error)[:500]}"
        _end(job, Action.State.STOPPED)
        return False
    if row is None or row.state in (State.DONE, State.SKIPPED):
        job.first, job.first_alone = None, False
        return True
    job.next_at = after(_ASK_AGAIN)
    return False


def _end(job: Action, state: Action.State) -> None:
    job.state, job.next_at, job.finished_at = state, None, Now()
