"""A person's data goes; that something happened stays."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import connections, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from events.deeds import Deed
from events.envelope import BY, FORGOTTEN, Envelope, decode, encode, is_forgotten
from events.models import UNFINISHED, Delivery, EventRecord, State
from events.operations.mentions import Row
from events.operations.quoting import silence, silence_mentions, silence_parking
from events.relay.slices import BATCH, batches

logger = logging.getLogger("events")


class Progress(NamedTuple):
    examined: int
    forgotten: int
    # Deliveries that had not finished, and won't.
    stopped: int
    # Records of actions whose notes, reasons or outcomes went.
    silenced: int = 0


def forget(using: str, subject: str, *, by: str, why: str = "", dry_run: bool = False) -> Iterator[Progress]:
    """Blank every event about the row `subject` names, and every event that refers to it; yields the totals so far.

    Ids, types and times stay; data and error texts go, and what was said of them where people acted on them:
    notes, reasons, outcomes. Deliveries of it that are unfinished or dead end as skipped: nothing is left that they
    could run on. An event about others that the row's user only emitted keeps its data, and no longer says by whom.
    Raises `NoSubject`.
    """
    row = Row.called(subject).known_to(using)
    deed = Deed(using=using, by=by, what="forgotten", target=subject, why=why)
    total = Progress(0, 0, 0, 0 if dry_run else _unmention(using, row, deed))
    if total.silenced:
        yield total
    for events in batches(EventRecord.objects.using(using).filter(row.candidates())):
        ours = [event for event in events if row.is_in(event.subject, _data(event))]
        ids = [event.pk for event in ours if dry_run or not is_forgotten(event.envelope)]
        signed = [event.pk for event in events if event not in ours and row.emitted(_data(event))]
        stopped = silenced = 0
        if not dry_run:
            with transaction.atomic(using=using):
                silenced = _silenced(using, ours, deed)
                stopped = _blank(using, ids, deed)
            silence_parking(using, [event.pk for event in ours])
            _unsign(using, signed, deed)
        found = total.forgotten + len(ids) + len(signed)
        total = Progress(
            total.examined + len(events), found, total.stopped + stopped, total.silenced + silenced
        )
        yield total
    if not dry_run:
        logger.info("events.forgotten by=%r subject=%s events=%d", by, subject, total.forgotten)


def _data(event: EventRecord) -> dict[str, Any]:
    return decode(event.envelope).data


def _unmention(using: str, row: Row, deed: Deed) -> int:
    with transaction.atomic(using=using):
        silenced = silence_mentions(using, row.subjects())
        deed.add(silenced)
    return silenced


def _silenced(using: str, events: Sequence[EventRecord], deed: Deed) -> int:
    # Those that are forgotten already too: somebody may have acted on them since.
    silenced = silence(using, [event.pk for event in events])
    deed.add(silenced)
    return silenced


def _blank(using: str, ids: Sequence[UUID], deed: Deed) -> int:
    if not ids:
        return 0
    events = list(_locked(using, ids))
    # A message still on its way meets a record that says it ended.
    _record_absent(using, events)
    stopped = _stop(using, ids)
    for event in events:
        event.envelope = blanked(event.envelope)
        event.next_at = None
    EventRecord.objects.using(using).bulk_update(events, ["envelope", "next_at"])
    deed.add(len(events))
    return stopped


def _unsign(using: str, ids: Sequence[UUID], deed: Deed) -> None:
    if not ids:
        return
    with transaction.atomic(using=using):
        events = list(_locked(using, ids))
        for event in events:
            old = decode(event.envelope)
            data = {name: value for name, value in old.data.items() if name != BY}
            event.envelope = encode(msgspec.structs.replace(old, data=data))
        EventRecord.objects.using(using).bulk_update(events, ["envelope"])
        deed.add(len(events))


def _locked(using: str, ids: Sequence[UUID]) -> QuerySet[EventRecord]:
    rows = EventRecord.objects.using(using).filter(pk__in=ids).order_by("pk")
    return rows.select_for_update() if connections[using].features.has_select_for_update else rows


def _record_absent(using: str, events: Sequence[EventRecord]) -> None:
    rows = [
        Delivery(event_id=event.pk, receiver=name, queue=queue, state=State.WAITING, next_at=Now())
        for event in events
        for name, queue in sorted(event.receivers.items())
    ]
    # A conflict needs no answer here: the record is there, whoever made it.
    Delivery.objects.using(using).bulk_create(rows, ignore_conflicts=True, batch_size=BATCH)


def _stop(using: str, ids: Sequence[UUID]) -> int:
    rows = Delivery.objects.using(using).filter(event_id__in=ids)
    stopped = rows.filter(state__in=[*UNFINISHED, State.DEAD]).update(
        state=State.SKIPPED, finished_at=Now(), next_at=None, suspect_at=None
    )
    # Tracebacks and reasons quote what the receiver was given.
    rows.update(error="", failures=None)
    rows.filter(state=State.SKIPPED).update(reason=FORGOTTEN)
    return stopped


def blanked(envelope: str) -> str:
    """The same event, without what it said."""
    old = decode(envelope)
    sender = old.data.get("sender") or {}
    kept = sender if "model" in sender or "class" in sender else None
    data = {"signal": old.data["signal"], "sender": kept, "args": {}, FORGOTTEN: True}
    new: Envelope = msgspec.structs.replace(old, data=data)
    return encode(new)
