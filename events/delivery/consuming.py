"""The consumer: from a message to what became of its deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import connections, transaction
from django.db.models.functions import Now

from events import pauses
from events.crashpoints import crashpoint
from events.delivery.careful import run_careful
from events.delivery.claim import AlreadyRecorded, Claimer
from events.delivery.claiming import insert_known, sorted_out
from events.delivery.concluding import Conclusion
from events.delivery.decoding import Item
from events.delivery.loose import LooseRun
from events.delivery.memory import keep_reserve, no_memory_left
from events.delivery.portions import portions
from events.delivery.returning import return_newer
from events.delivery.running import Run
from events.delivery.tally import Tally
from events.delivery.versions import beyond
from events.message import Message
from events.models import Delivery, State
from events.registry import Receiver, registry


def consume(message: Message, conclusion: Conclusion | None = None) -> Tally:
    """Run the message's deliveries, each at most once with effect. Raises `UnknownReceiver`; what the receiver
    raises is recorded, never raised; a database that is away is raised, and the relay sends them again.

    `conclusion` is written with the work, where one transaction does all of it.
    """
    crashpoint("deliver.received")
    keep_reserve()
    receiver = registry.get(message.receiver)
    run = _run(receiver, message, conclusion)
    items = [
        Item(event_id=UUID(event_id), attempt=attempt, envelope=envelope, recorded=attempt > 0)
        for event_id, attempt, envelope in zip(message.ids, message.attempts, message.envelopes, strict=True)
    ]
    if pauses.current(message.using).cover(message.receiver, message.queue):
        run.tally.elsewhere += _hold(run.claimer, items)
        return run.tally
    try:
        for some in portions(items, message.using):
            _work_off(run, message, some)
    except BaseException as error:
        run.reset()
        if isinstance(error, MemoryError):
            no_memory_left()
        raise
    return run.tally


def _work_off(run: Run, message: Message, items: list[Item]) -> None:
    items = _runnable(run, message, items)
    if not items:
        return
    if message.careful:
        run_careful(run, items[0])
    else:
        run.chunks(items)


def _run(receiver: Receiver, message: Message, conclusion: Conclusion | None) -> Run:
    claimer = Claimer(
        receiver=message.receiver,
        queue=message.queue,
        using=message.using,
        message_id=UUID(message.id),
        state=State.DONE if receiver.atomic else State.RUNNING,
    )
    kind = Run if receiver.atomic else LooseRun
    connection = connections[message.using]
    return kind(
        receiver=receiver,
        claimer=claimer,
        careful=message.careful,
        outermost=connection.get_autocommit() and not connection.in_atomic_block,
        # Large envelopes stayed in the outbox, and may be worked off in several portions.
        conclusion=conclusion if all(message.envelopes) else None,
    )


def _runnable(run: Run, message: Message, items: list[Item]) -> list[Item]:
    """Without those of a newer version than this code knows: they are put back, before anything is claimed."""
    versions = {item.event_id: version for item in items if (version := beyond(run.receiver, item.envelope))}
    for version in sorted(set(versions.values())):
        sent = [(item.event_id, item.attempt) for item in items if versions.get(item.event_id) == version]
        run.tally.elsewhere += return_newer(message, sent, version)
    return [item for item in items if item.event_id not in versions]


def _hold(claimer: Claimer, items: Sequence[Item]) -> int:
    """Paused since they were sent: back to the table, where the relay leaves them until somebody resumes."""
    for item in sorted_out(claimer, items):
        waiting = {"state": State.WAITING, "next_at": Now(), "suspect_at": None, "finished_at": None}
        with transaction.atomic(using=claimer.using):
            if not item.recorded:
                try:
                    with transaction.atomic(using=claimer.using):
                        if not insert_known(claimer, [item]):
                            continue
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
