"""For the tests of those who use the bus: what was emitted, and the real consumer, here and now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connections
from django.db.models import Model
from django.db.models.functions import Now
from django.dispatch import Signal
from django.test.testcases import _DatabaseFailure

from events import bus, pauses
from events.capture import subject_of
from events.databases import outbox_aliases
from events.delivery.consuming import consume
from events.delivery.tally import Tally
from events.envelope import Envelope, decode
from events.fast_path import fast_path
from events.journal import installed
from events.message import Message
from events.models import Delivery, EventRecord, State
from events.outbox import Emission
from events.registry import registry
from events.relay.feeding import feed
from events.relay.materialising import materialise
from events.serializers import Reference, load_value, plan_for
from events.signal_names import signal_name

_NO_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What became of the deliveries that were due."""

    done: int = 0
    skipped: int = 0
    retrying: int = 0
    dead: int = 0


def drain() -> Drained:
    """Run every delivery that is due, in this process, by the consumer that workers use; those caused meanwhile too.

    Inside a `TestCase` too. A delivery that waits for its retry stays waiting.
    """
    totals = Drained()
    with fast_path.suspended():
        for using in _permitted(outbox_aliases()):
            while messages := _due_messages(using):
                totals = _add(totals, [consume(_round_trip(message)) for message in messages])
    return totals


def _permitted(aliases: Sequence[str]) -> Iterator[str]:
    """Those that this test may use: `TestCase.databases` forbids the others."""
    for alias in aliases:
        if not isinstance(connections[alias].cursor, _DatabaseFailure):
            yield alias


def _due_messages(using: str) -> list[Message]:
    journal = installed(using)
    if journal is not None and journal.connection.in_atomic_block:
        # A TestCase's transaction will not commit: what it emitted is written here.
        journal.flush(leave=True)
    EventRecord.objects.using(using).filter(next_at__isnull=False).update(next_at=Now(), published=[])
    while materialise(using, frozenset()):
        pass
    messages: list[Message] = []
    queues = Delivery.objects.using(using).filter(state=State.WAITING).order_by()
    # As the relay does: a worker would only put back what is paused.
    paused = pauses.current(using, fresh=0).queues
    for queue in sorted(set(queues.values_list("queue", flat=True)) - paused):
        feed(using, queue, _NO_LIMIT, frozenset(registry.names()), publish=messages.extend)
    return messages


def _round_trip(message: Message) -> Message:
    """As a worker gets it: through JSON, verified."""
    header, envelopes = json.loads(json.dumps([message.header(), message.envelopes]))
    return Message.received(header, envelopes, task=message.receiver, id=message.id)


def _add(totals: Drained, tallies: Sequence[Tally]) -> Drained:
    return Drained(
        done=totals.done + sum(t.done for t in tallies),
        skipped=totals.skipped + sum(t.skipped for t in tallies),
        retrying=totals.retrying + sum(t.retrying for t in tallies),
        dead=totals.dead + sum(t.dead for t in tallies),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedEvent:
    """An event as it was emitted, read back from its JSON."""

    emission: Emission = field(repr=False)
    envelope: Envelope = field(repr=False)
    type: str
    subject: str
    receivers: tuple[str, ...]
    # The signal's arguments; model instances of custom events as references.
    arguments: dict[str, Any]

    @classmethod
    def read(cls, emission: Emission, using: str) -> CapturedEvent:
        envelope = decode(emission.envelope)
        arguments = {name: load_value(value) for name, value in envelope.data["args"].items()}
        if "instance" in envelope.data:
            model: type[Model] = apps.get_model(envelope.data["model"])
            arguments["instance"] = plan_for(model).rebuild(envelope.data["instance"], using)
        return cls(
            emission=emission,
            envelope=envelope,
            type=envelope.type,
            subject=envelope.subject or "",
            receivers=tuple(emission.receivers),
            arguments=arguments,
        )

    def has(self, name: str, expected: object) -> bool:
        if name == "subject":
            return self.subject == (subject_of(expected) if isinstance(expected, Model) else expected)
        value = self.arguments.get(name, _ABSENT)
        if isinstance(value, Reference) and isinstance(expected, Model):
            return value == Reference.to(expected)
        return bool(value == expected)


_ABSENT = object()


class CapturedEvents(Sequence[CapturedEvent]):
    """The events emitted within the block and not rolled back since, oldest first."""

    def __init__(self) -> None:
        self._seen: list[tuple[Emission, CapturedEvent]] = []

    def _observe(self, emission: Emission, using: str) -> None:
        self._seen.append((emission, CapturedEvent.read(emission, using)))

    def _standing(self) -> list[CapturedEvent]:
        return [captured for emission, captured in self._seen if not emission.dropped]

    def __getitem__(self, index: Any) -> Any:
        return self._standing()[index]

    def __len__(self) -> int:
        return len(self._standing())

    def __repr__(self) -> str:
        return f"<CapturedEvents {[captured.type for captured in self]}>"

    def of(self, kind: str | Signal, **arguments: object) -> list[CapturedEvent]:
        """Those of a type ("library.book_read"), or a signal, with these arguments."""
        type_ = kind if isinstance(kind, str) else None
        name = None if type_ else signal_name(kind)
        return [
            captured
            for captured in self
            if (captured.type == type_ or captured.envelope.data["signal"] == name)
            and all(captured.has(key, value) for key, value in arguments.items())
        ]

    def assert_emitted(self, kind: str | Signal, *, times: int = 1, **arguments: object) -> None:
        """Raises AssertionError, listing what was emitted instead."""
        found = self.of(kind, **arguments)
        if len(found) != times:
            emitted = "\n".join(f"  {c.type} {c.subject} {c.arguments}" for c in self) or "  nothing"
            raise AssertionError(
                f"{kind} with {arguments or 'any arguments'} was emitted {len(found)} times, not {times}. "
                f"Emitted and not rolled back:\n{emitted}"
            )


@contextmanager
def captured_events() -> Iterator[CapturedEvents]:
    """The events emitted within the block; nothing is published meanwhile. `drain()` runs their receivers."""
    captured = CapturedEvents()
    with bus.observed(captured._observe), fast_path.suspended():
        yield captured


def make_due() -> int:
    """Let every waiting retry be due now: for tests of what happens at the next try. How many."""
    return sum(
        Delivery.objects.using(using).filter(state=State.WAITING).update(next_at=Now())
        for using in _permitted(outbox_aliases())
    )


__all__ = ["CapturedEvent", "CapturedEvents", "Drained", "captured_events", "drain", "make_due"]
