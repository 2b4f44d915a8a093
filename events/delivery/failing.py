"""What is recorded when a receiver fails, and what comes of it: another try, or a dead letter."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable
from uuid import UUID

from django.db import IntegrityError, OperationalError, connections, transaction
from django.db.models.functions import Now
from django.utils import timezone

from events.clock import after
from events.delivery.claim import Claimer
from events.delivery.decoding import Item, correlation_of
from events.delivery.fingerprints import fingerprint
from events.delivery.waiting import PATIENCE, is_lock_timeout, limited_waiting
from events.identity import who
from events.models import UNFINISHED, Delivery, EventRecord, State
from events.registry import Receiver
from events.texts import last_line, shortened, storable

logger = logging.getLogger("events")

# Characters of a traceback that are kept: its end says what happened.
_KEPT = 20_000
# Failed tries that a delivery remembers, more than the default allows; and characters of each one's error.
_REMEMBERED, _LINE = 20, 500


def record_failure(
    claimer: Claimer, receiver: Receiver, item: Item, error: BaseException, *, counted: bool
) -> State | None:
    """The delivery's new state; None where somebody else has it by now.

    `counted`: the try was counted before the run.
    """
    with transaction.atomic(using=claimer.using):
        row = _locked(claimer, item)
        if row is None:
            row = _inserted(claimer, item)
        if row is None:
            return None
        tries = row.tries + (not counted)
        dead = tries >= receiver.retry.tries or isinstance(error, receiver.give_up_on)
        row.state = State.DEAD if dead else State.WAITING
        row.tries = tries
        row.error = describe(error)
        row.fingerprint = fingerprint(row.error)
        row.failures = [*(row.failures or ()), _told(row)][-_REMEMBERED:]
        row.worker, row.message_id, row.suspect_at = who(), claimer.message_id, None
        row.finished_at = Now() if dead else None
        row.next_at = None if dead else after(receiver.retry.delay(tries))
        row.save(using=claimer.using)
    level = logging.ERROR if dead else logging.WARNING
    logger.log(
        level,
        "events.delivery state=%s receiver=%s event=%s tries=%d error=%s",
        row.state,
        claimer.receiver,
        item.event_id,
        tries,
        shortened(error),
        extra={
            "receiver": claimer.receiver,
            "event_id": str(item.event_id),
            "correlation_id": correlation_of(item),
        },
    )
    return State(row.state)


def _locked(claimer: Claimer, item: Item) -> Delivery | None:
    rows = Delivery.objects.using(claimer.using).filter(
        receiver=claimer.receiver,
        event_id=item.event_id,
        attempt=item.attempt,
        state__in=[State.SENT, State.RUNNING],
    )
    if connections[claimer.using].features.has_select_for_update:
        rows = rows.select_for_update()
    return rows.first()


def _inserted(claimer: Claimer, item: Item) -> Delivery | None:
    """The record of a first run that left none: its claim went with its transaction."""
    if item.recorded:
        return None
    row = Delivery(
        event_id=item.event_id,
        receiver=claimer.receiver,
        queue=claimer.queue,
        state=State.WAITING,
        attempt=item.attempt,
        started_at=Now(),
    )
    try:
        with transaction.atomic(using=claimer.using):
            row.save(using=claimer.using, force_insert=True)
    except IntegrityError:
        return None
    return row


def _told(row: Delivery) -> dict[str, object]:
    """A try that failed, for the delivery's timeline; by this machine's clock, which no decision is made by."""
    text = last_line(row.error)[:_LINE]
    return {"at": timezone.now().isoformat(), "attempt": row.attempt, "worker": who(), "error": text}


def describe(error: BaseException) -> str:
    return storable("".join(traceback.format_exception(error)))[-_KEPT:]


def recover(using: str, pairs: Iterable[tuple[str, UUID]], reason: str) -> int:
    """Deliveries whose process died or ran out of time: each comes back alone, and careful.

    How many were taken back. What is done stays done; what waits, waits. Raises `OperationalError`, when all
    the others are taken back, for one that the server still holds locked for its dead process.
    """
    taken, locked = 0, None
    for receiver, event_id in sorted(pairs, key=lambda pair: (pair[1], pair[0])):
        try:
            patience = PATIENCE if locked is None else 1
            with transaction.atomic(using=using), limited_waiting(using, patience):
                taken += _recover_one(using, receiver, event_id, reason)
        except OperationalError as error:
            if not is_lock_timeout(error):
                raise
            locked = error
    if taken:
        logger.warning("events.recovered deliveries=%d reason=%r", taken, reason)
    if locked is not None:
        raise locked
    return taken


def _recover_one(using: str, receiver: str, event_id: UUID, reason: str) -> int:
    lost = Delivery.objects.using(using).filter(receiver=receiver, event_id=event_id)
    values = {"state": State.WAITING, "careful": True, "next_at": Now(), "suspect_at": None, "error": reason}
    taken = lost.filter(state__in=[State.SENT, State.RUNNING]).update(**values)
    return taken if lost.exists() else _recover_unrecorded(using, receiver, event_id, reason)


def _recover_unrecorded(using: str, receiver: str, event_id: UUID, reason: str) -> int:
    event = EventRecord.objects.using(using).filter(pk=event_id).only("receivers").first()
    if event is None or receiver not in event.receivers:
        return 0
    row = Delivery(
        event_id=event_id,
        receiver=receiver,
        queue=event.receivers[receiver],
        state=State.WAITING,
        careful=True,
        next_at=Now(),
        error=reason,
    )
    try:
        with transaction.atomic(using=using):
            row.save(using=using, force_insert=True)
    except IntegrityError:
        return 0
    return 1


def note_after_commit(claimer: Claimer, items: Iterable[Item], error: BaseException) -> None:
    """The receivers' work is committed, their own on_commit failed: said on the record, which stays done."""
    logger.error("events.on_commit_failed receiver=%s error=%s", claimer.receiver, shortened(error))
    ids = [item.event_id for item in items]
    rows = Delivery.objects.using(claimer.using).filter(receiver=claimer.receiver, event_id__in=ids)
    rows.exclude(state__in=UNFINISHED).update(error=f"After the commit, which stands:\n{describe(error)}")
