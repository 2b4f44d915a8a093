"""The consumer: from a message to what became of its deliveries."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.db import connections

from events import pauses
from events.crashpoints import crashpoint
from events.delivery import kill_switch
from events.delivery.careful import run_careful
from events.delivery.claim import Claimer
from events.delivery.concluding import Conclusion
from events.delivery.decoding import Item
from events.delivery.holding import hold
from events.delivery.kill_switch import KillSwitch
from events.delivery.loose import LooseRun
from events.delivery.memory import keep_reserve, no_memory_left
from events.delivery.portions import portions
from events.delivery.returning import return_newer
from events.delivery.running import Run
from events.delivery.tally import Tally
from events.delivery.trouble import repeated
from events.delivery.versions import beyond
from events.message import Message
from events.models import State
from events.registry import Receiver, registry


def consume(message: Message, conclusion: Conclusion | None = None, *, watched: bool = False) -> Tally:
    """Run the message's deliveries, each at most once with effect. Raises `UnknownReceiver`; what the receiver
    raises is recorded, never raised; a database that is away is raised, and the relay sends them again.

    `conclusion` is written with the work, where one transaction does all of it. `watched`: by the kill switch.
    """
    crashpoint("deliver.received")
    keep_reserve()
    receiver = registry.get(message.receiver)
    run = _run(receiver, message, conclusion)
    items = [
        Item(event_id=UUID(event_id), attempt=attempt, envelope=envelope, recorded=attempt > 0)
        for event_id, attempt, envelope in zip(message.ids, message.attempts, message.envelopes, strict=True)
    ]
    # The first that is asked of the database: of a connection that may have been cut since.
    found = repeated(message.using, lambda: pauses.current(message.using))
    if found.cover(message.receiver, message.queue):
        # Asked anew: it may have been resumed since, and which delivery is a probe was said a moment ago.
        found = pauses.current(message.using, fresh=0)
    probes = found.let_through(message.receiver, message.queue, message.ids)
    if found.cover(message.receiver, message.queue) and not probes:
        kill_switch.forget(receiver, message.using)
        run.tally.elsewhere += hold(run.claimer, items)
        return run.tally
    if watched:
        probe = items[0].event_id if probes else None
        run = replace(run, switch=KillSwitch(receiver, message.using, probe=probe))
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
