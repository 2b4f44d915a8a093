"""One message: claim first, run, record. See docs/decisions/0003-claim-first.md.

Safety comes from the claim alone: any message may come twice, in two workers at once; an effect happens once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from django.db import connections, transaction

from events.crashpoints import crashpoint
from events.delivery.claim import AlreadyRecorded, Claimer
from events.delivery.decoding import Gone, Item, occurrences
from events.delivery.failing import note_after_commit, record_failure, refuse
from events.delivery.invoking import assert_sound, invoke
from events.delivery.occurrence import Occurrence
from events.delivery.trouble import is_passing
from events.exceptions import BrokenTransaction, Skip
from events.models import Delivery, State
from events.registry import Receiver

# Seconds a chunk's transaction may last: longer ones lock SQLite's writers out, and collect deadlocks.
CHUNK_SECONDS = 0.2
_REPEATS = 8

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the deliveries of a message; `elsewhere`: not ours to run."""

    done: int = 0
    skipped: int = 0
    retrying: int = 0
    dead: int = 0
    refused: int = 0
    elsewhere: int = 0

    def failed(self, state: State | None) -> None:
        if state is State.DEAD:
            self.dead += 1
        elif state is State.WAITING:
            self.retrying += 1
        else:
            self.elsewhere += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A message of events for one receiver, being worked off."""

    receiver: Receiver
    claimer: Claimer
    tally: Tally = field(default_factory=Tally)
    # The try is counted and committed already: a poison that ends the process has used it up.
    careful: bool = False

    @property
    def using(self) -> str:
        return self.claimer.using

    def chunks(self, items: Sequence[Item]) -> None:
        waiting = list(items)
        while waiting:
            size = self._size(len(waiting))
            left = self._attempt(waiting[:size])
            waiting = left + waiting[size:]

    def _size(self, most: int) -> int:
        return min(most, self.receiver.batch, _pace.events_in(CHUNK_SECONDS, self.receiver.name))

    def _attempt(self, items: list[Item]) -> list[Item]:
        """Run them in one transaction; those that it had no time for are returned."""
        try:
            return repeated(self.using, lambda: self._transaction(items))
        except AlreadyRecorded:
            self._one_by_one(sorted_out(self.claimer, items))
        except NotBegun:
            raise
        except Exception as error:  # noqa: BLE001 - where receivers run; every way out of it is recorded
            if len(items) > 1:
                self._one_by_one(items)
            else:
                state = record_failure(self.claimer, self.receiver, items[0], error, counted=self.careful)
                crashpoint("deliver.failed")
                self.tally.failed(state)
        return []

    def _one_by_one(self, items: Sequence[Item]) -> None:
        for item in items:
            self._attempt([item])

    def _transaction(self, items: list[Item]) -> list[Item]:
        committed: list[bool] = []
        counted = Tally()
        left: list[Item] = []
        ours: list[Item] = []
        try:
            with transaction.atomic(using=self.using):
                # Registered first, so that it runs before any of the receivers' own.
                transaction.on_commit(_Flag(committed), using=self.using)
                ours = self._claimed_or_not_begun(items, counted)
                crashpoint("deliver.claimed")
                left = self._run(ours, counted)
                crashpoint("deliver.finished")
        except Exception as error:
            if not committed:
                raise
            note_after_commit(self.claimer, ours, error)
        crashpoint("deliver.committed")
        self._add(counted)
        return left

    def _add(self, counted: Tally) -> None:
        for name in ("done", "skipped", "refused", "elsewhere"):
            setattr(self.tally, name, getattr(self.tally, name) + getattr(counted, name))

    def _claimed_or_not_begun(self, items: list[Item], counted: Tally) -> list[Item]:
        try:
            return self._claimed(items, counted)
        except AlreadyRecorded:
            raise
        except Exception as error:
            # The database is away, or it took too long to wait for another's lock: no receiver ran,
            # and no try is used up.
            raise NotBegun(f"interrupted before {self.receiver.name} began") from error

    def _claimed(self, items: list[Item], counted: Tally) -> list[Item]:
        fresh = [item for item in items if not item.recorded]
        recorded = [item for item in items if item.recorded]
        ours = self.claimer.lock(recorded, careful=self.careful) if recorded else []
        counted.elsewhere += len(recorded) - len(ours)
        inserted = insert_known(self.claimer, fresh) if fresh else []
        counted.refused += len(fresh) - len(inserted)
        return ours + inserted

    def _run(self, ours: list[Item], counted: Tally) -> list[Item]:
        if not ours:
            return []
        started = time.monotonic()
        cases = occurrences(self.receiver, self.claimer.receiver, ours, self.using)
        present = [(i, c) for i, c in zip(ours, cases, strict=True) if isinstance(c, Occurrence)]
        gone = [(i, c) for i, c in zip(ours, cases, strict=True) if isinstance(c, Gone)]
        finished = self._invoked(present, started, counted)
        ended = self._skipped_gone(gone, counted) + finished
        _pace.learn(self.receiver.name, time.monotonic() - started, max(ended, 1))
        crashpoint("deliver.ran")
        left = [item for item, _ in present[finished:]]
        self.claimer.release(left)
        return left

    def _invoked(self, present: list[tuple[Item, Occurrence]], started: float, counted: Tally) -> int:
        """Run as many as there is time for, and record them; how many."""
        done: list[Item] = []
        skipped: list[tuple[Item, str]] = []
        groups = [present] if self.receiver.many and present else [[pair] for pair in present]
        for group in groups:
            if done and time.monotonic() - started > CHUNK_SECONDS:
                break
            reason = self._call([occurrence for _, occurrence in group])
            if reason is None:
                done += [item for item, _ in group]
            else:
                skipped += [(item, reason) for item, _ in group]
        self._record(done, skipped)
        counted.done += len(done)
        counted.skipped += len(skipped)
        return len(done) + len(skipped)

    def _call(self, group: list[Occurrence]) -> str | None:
        """The reason, where the receiver skipped."""
        reason = None
        try:
            invoke(self.receiver, group)
        except Skip as skip:
            reason = str(skip) or "skipped"
        assert_sound(self.using)
        return reason

    def _record(self, done: list[Item], skipped: list[tuple[Item, str]]) -> None:
        # The chunk's last statement is a query: a transaction that a receiver broke in silence refuses it,
        # and where our claim vanished with one, the records are fewer than they were.
        kept = self.claimer.finish(done) if done else 0
        kept += sum(self.claimer.skip(item, reason) for item, reason in skipped)
        if kept != len(done) + len(skipped):
            raise BrokenTransaction(
                "The claim is gone: the receiver ended the transaction it runs in. Use offload(atomic=False)."
            )

    def _skipped_gone(self, gone: list[tuple[Item, Gone]], counted: Tally) -> int:
        if gone and self.receiver.missing == "retry":
            raise LookupError(str(gone[0][1]))
        for item, reason in gone:
            self.claimer.skip(item, str(reason))
        counted.skipped += len(gone)
        return len(gone)


def insert_known(claimer: Claimer, items: Sequence[Item]) -> list[Item]:
    """Claim by insert; an event that is not in the outbox for this receiver is refused."""
    claimer.insert(items)
    strangers = claimer.strangers(items)
    for item in (item for item in items if item.event_id in strangers):
        claimer.release([item])
        refuse(
            claimer.using,
            f"event {item.event_id} is not in the outbox for this receiver: pruned, or aimed at another",
            receiver=claimer.receiver,
            message_id=str(claimer.message_id),
        )
    return [item for item in items if item.event_id not in strangers]


def sorted_out(claimer: Claimer, items: Sequence[Item]) -> list[Item]:
    """After a claim met a record: which are to be inserted still, and which are to be locked."""
    ids = [item.event_id for item in items]
    rows = Delivery.objects.using(claimer.using).filter(receiver=claimer.receiver, event_id__in=ids)
    recorded = set(rows.values_list("event_id", flat=True))
    return [replace(item, recorded=item.event_id in recorded) for item in items]


class _Flag:
    """Says that the transaction committed. A named callable, as on_commit asks for."""

    def __init__(self, committed: list[bool]) -> None:
        self.committed = committed

    def __call__(self) -> None:
        self.committed.append(True)


class NotBegun(Exception):
    """The relay sends these deliveries again: nothing of them is recorded."""


class Pace:
    """How many events of a receiver fit into a chunk, by how long they took."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def learn(self, name: str, seconds: float, events: int) -> None:
        each = seconds / events
        self._seconds[name] = (self._seconds.get(name, each) + each) / 2

    def events_in(self, seconds: float, name: str) -> int:
        each = self._seconds.get(name, 0)
        return max(1, int(seconds / each)) if each else 1_000_000


_pace = Pace()


def repeated(using: str, action: Callable[[], T]) -> T:
    """The action's result; errors that pass by themselves (deadlock, lost connection) repeat it, and use no try."""
    for repeat in range(_REPEATS):
        try:
            return action()
        except Exception as error:
            connection = connections[using]
            cause = error.__cause__ if isinstance(error, NotBegun) and error.__cause__ else error
            if repeat == _REPEATS - 1 or connection.in_atomic_block or not is_passing(cause, connection):
                raise
            connection.close_if_unusable_or_obsolete()
            # Two that met in a deadlock must not meet again.
            time.sleep(random.uniform(0.5, 1) * 0.02 * 2**repeat)
    raise AssertionError("unreachable")
