"""The consumer: from a message to what became of its deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from events import pauses
from events.crashpoints import crashpoint
from events.delivery.careful import run_careful
from events.delivery.claim import AlreadyRecorded, Claimer
from events.delivery.claiming import sorted_out
from events.delivery.decoding import Item
from events.delivery.loose import LooseRun
from events.delivery.running import Run, Tally
from events.message import Message
from events.models import Delivery, EventRecord, State
from events.registry import Receiver, registry


def consume(message: Message) -> Tally:
    """Run the message's deliveries, each at most once with effect. Raises `UnknownReceiver`; what the receiver
    raises is recorded, never raised; a database that is away is raised, and the relay sends them again."""
    crashpoint("deliver.received")
    receiver = registry.get(message.receiver)
    run = _run(receiver, message)
    items = [
        Item(event_id=UUID(event_id), attempt=attempt, envelope=envelope, recorded=attempt > 0)
        for event_id, attempt, envelope in zip(message.ids, message.attempts, message.envelopes, strict=True)
    ]
    if pauses.current(message.using).cover(message.receiver, message.queue):
        run.tally.elsewhere += _hold(run.claimer, items)
        return run.tally
    items = _with_envelopes(items, message.using)
    if message.careful:
        run_careful(run, items[0])
    else:
        run.chunks(items)
    return run.tally


def _run(receiver: Receiver, message: Message) -> Run:
    claimer = Claimer(
        receiver=message.receiver,
        queue=message.queue,
        using=message.using,
        message_id=UUID(message.id),
        state=State.DONE if receiver.atomic else State.RUNNING,
    )
    kind = Run if receiver.atomic else LooseRun
    return kind(receiver=receiver, claimer=claimer, careful=message.careful)


def _with_envelopes(items: Sequence[Item], using: str) -> list[Item]:
    """Large envelopes stayed in the outbox. One that is gone stays "", and its claim is refused."""
    absent = [item.event_id for item in items if not item.envelope]
    if not absent:
        return list(items)
    stored = dict(EventRecord.objects.using(using).filter(pk__in=absent).values_list("pk", "envelope"))
    return [
        item if item.envelope else replace(item, envelope=stored.get(item.event_id, "")) for item in items
    ]


def _hold(claimer: Claimer, items: Sequence[Item]) -> int:
    """Paused since they were sent: back to the table, where the relay leaves them until somebody resumes."""
    for item in sorted_out(claimer, items):
        waiting = {"state": State.WAITING, "next_at": Now(), "suspect_at": None, "finished_at": None}
        with transaction.atomic(using=claimer.using):
            if not item.recorded:
                try:
                    with transaction.atomic(using=claimer.using):
                        claimer.insert([item])
                except AlreadyRecorded:
                    continue
                state = claimer.state
            else:
                state = State.SENT
            rows = Delivery.objects.using(claimer.using).filter(
                receiver=claimer.receiver, event_id=item.event_id
            )
            rows.filter(state=state).update(**waiting)
    return len(items)


__all__ = ["Tally", "consume"]
