"""One message: claim first, run, record. See docs/decisions/0003-claim-first.md.

Safety comes from the claim alone: any message may come twice, in two workers at once; an effect happens once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from events.crashpoints import crashpoint
from events.delivery.claim import WORTH_WRITING, AlreadyRecorded, Claimer
from events.delivery.claiming import insert_known, lock_known, refuse_strangers, sorted_out
from events.delivery.concluding import Conclusion, NotConcluded
from events.delivery.decoding import Gone, Item, occurrences
from events.delivery.failing import note_after_commit, record_failure
from events.delivery.holding import hold
from events.delivery.invoking import assert_sound, invoke
from events.delivery.kill_switch import UNWATCHED, Unwatched
from events.delivery.occurrence import Occurrence
from events.delivery.on_commit import Commit, keep_apart, registered
from events.delivery.pace import pace
from events.delivery.resetting import reset
from events.delivery.tally import Tally
from events.delivery.trouble import NotBegun, repeated
from events.delivery.unbroken import unbroken
from events.delivery.waiting import writing
from events.exceptions import BrokenTransaction, Skip
from events.registry import Receiver

# Seconds a chunk's transaction may last: longer ones lock SQLite's writers out, and collect deadlocks.
CHUNK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A message of events for one receiver, being worked off."""

    receiver: Receiver
    claimer: Claimer
    tally: Tally = field(default_factory=Tally)
    # The try is counted and committed already: a poison that ends the process has used it up.
    careful: bool = False
    # No transaction was open when it began, so none may be open when something went wrong.
    outermost: bool = True
    # Where one transaction works off all of the message.
    conclusion: Conclusion | None = None
    switch: Unwatched = UNWATCHED

    @property
    def using(self) -> str:
        return self.claimer.using

    def reset(self) -> bool:
        """Whether a transaction had been left open; it is gone."""
        return self.outermost and reset(self.using)

    def chunks(self, items: Sequence[Item]) -> None:
        waiting = list(items)
        while waiting:
            if self.switch.parked:
                self._put_back(waiting)
                return
            size = self._size(len(waiting))
            run = self if size == len(items) else self._inconclusive()
            left = run._attempt(waiting[:size])
            waiting = left + waiting[size:]

    def _inconclusive(self) -> Run:
        return replace(self, conclusion=None)

    def _size(self, most: int) -> int:
        return min(most, self.receiver.batch, pace.events_in(CHUNK_SECONDS, self.receiver.name))

    def _attempt(self, items: list[Item]) -> list[Item]:
        """Run them in one transaction; those that it had no time for are returned."""
        # Each repetition's claims bear a token of their own: one before it may have committed, whatever it was told.
        last, commit = self, Commit()

        def once_more() -> list[Item]:
            nonlocal last, commit
            if last is not self:
                last._take_back(items, commit)
            last, commit = replace(self, claimer=self.claimer.anew()), Commit()
            return last._transaction(items, commit)

        try:
            return repeated(self.using, once_more)
        except AlreadyRecorded:
            return self._sorted_out(items)
        except NotBegun:
            raise
        except NotConcluded:
            return self._inconclusive()._attempt(items)
        except Exception as error:
            self.reset()
            if isinstance(error, MemoryError) and len(items) > 1:
                # Each is run in a process that has memory.
                raise
            last._take_back(items, commit)
            if len(items) > 1:
                self._one_by_one(items)
            else:
                self._failed(items[0], error)
                if isinstance(error, MemoryError):
                    raise
        return []

    def _failed(self, item: Item, error: BaseException) -> None:
        if not item.recorded and not refuse_strangers(self.claimer, [item]):
            # Its claim had waited for a prune: see Claimer.kept, which a receiver that fails never comes to.
            self.tally.refused += 1
            return
        state = record_failure(self.claimer, self.receiver, item, error, counted=self.careful)
        crashpoint("deliver.failed")
        self.tally.failed(state)
        if state is not None:
            self.switch.failed(error)

    def _take_back(self, items: list[Item], commit: Commit) -> None:
        if not commit.asked:
            # Whatever of our claims is there now was committed by a receiver.
            self.claimer.take_back(items)

    def _sorted_out(self, items: list[Item]) -> list[Item]:
        known = sorted_out(self.claimer, items)
        if known != items and len(items) > 1:
            # All at once still, as a rule: a backlog's messages wait until the relay has recorded all of it.
            return self._attempt(known)
        self._one_by_one(known)
        return []

    def _one_by_one(self, items: Sequence[Item]) -> None:
        run = self._inconclusive()
        for number, item in enumerate(items):
            if self.switch.parked:
                self._put_back(items[number:])
                return
            run._attempt([item])

    def _put_back(self, items: Sequence[Item]) -> None:
        """Parked since: they wait, and have used up no try."""
        self.tally.elsewhere += hold(self.claimer, items)

    def _transaction(self, items: list[Item], commit: Commit) -> list[Item]:
        counted = Tally()
        left: list[Item] = []
        ours: list[Item] = []
        try:
            with writing(self.using):
                # Registered first, so that it runs before any of the receivers' own.
                transaction.on_commit(commit, using=self.using)
                ours = self._claimed_or_not_begun(items, counted)
                crashpoint("deliver.claimed")
                with unbroken(self.using):
                    left = self._run(ours, counted)
                crashpoint("deliver.finished")
                commit.asked = True
            if self.reset():
                raise BrokenTransaction("The receiver left a block of its own open: nothing was committed.")
        except Exception as error:
            if not commit.done:
                raise
            note_after_commit(self.claimer, ours, error)
        crashpoint("deliver.committed")
        self.tally.add(counted)
        if self.conclusion and not left:
            self.conclusion.stands = True
        self.switch.worked(counted.done, counted.skipped)
        return left

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
        ours, refused = lock_known(self.claimer, recorded, careful=self.careful)
        counted.refused += refused
        counted.elsewhere += len(recorded) - len(ours) - refused
        inserted = insert_known(self.claimer, fresh) if fresh else []
        counted.refused += len(fresh) - len(inserted)
        return ours + inserted

    def _run(self, ours: list[Item], counted: Tally) -> list[Item]:
        """Those that it had no time for."""
        if not ours:
            self._conclude(counted)
            return []
        started = time.monotonic()
        cases = occurrences(self.receiver, self.claimer.receiver, ours, self.using)
        present = [(i, c) for i, c in zip(ours, cases, strict=True) if isinstance(c, Occurrence)]
        gone = [(i, c) for i, c in zip(ours, cases, strict=True) if isinstance(c, Gone)]
        done, skipped = self._invoked(present, started)
        ended = done + len(skipped) + len(gone)
        counted.done += done
        counted.skipped += ended - done
        left = [item for item, _ in present[done + len(skipped) :]]
        took = (time.monotonic() - started) / max(ended, 1)
        concluded = done == len(ours) and self._concluded_if_kept(ours, took, counted)
        if not concluded:
            self._assert_kept(ours, took)
        self._skip(skipped + self._skipped_gone(gone))
        pace.learn(self.receiver.name, time.monotonic() - started, max(ended, 1))
        crashpoint("deliver.ran")
        self.claimer.release(left)
        if not (left or concluded):
            self._conclude(counted)
        return left

    def _concluded_if_kept(self, ours: list[Item], took: float, counted: Tally) -> bool:
        """The last question, asked by the result's INSERT, where nothing else is to be written: a statement less."""
        if self.conclusion is None or took >= WORTH_WRITING:
            return False
        kept = self.claimer.keeps(_inserted(ours), len(ours))
        return kept is not None and self.conclusion.write(self.tally, counted, provided=kept)

    def _assert_kept(self, ours: list[Item], took: float) -> None:
        # The last question before the commit: a transaction that a receiver broke in silence refuses it, and where
        # our claim vanished with one, the records are fewer than they were.
        if self.claimer.kept(_inserted(ours), took) != len(ours):
            raise BrokenTransaction(
                "The claim is gone: the receiver ended the transaction it runs in. Use offload(atomic=False)."
            )

    def _conclude(self, counted: Tally) -> None:
        if self.conclusion:
            self.conclusion.write(self.tally, counted)

    def _invoked(
        self, present: list[tuple[Item, Occurrence]], started: float
    ) -> tuple[int, list[tuple[Item, str]]]:
        """Run as many as there is time for; how many are done, and which were skipped, and why."""
        done = 0
        skipped: list[tuple[Item, str]] = []
        groups = [present] if self.receiver.many and present else [[pair] for pair in present]
        # Looked up once: that takes as long as a receiver that does little.
        connection = connections[self.using]
        for group in groups:
            if done and time.monotonic() - started > CHUNK_SECONDS:
                break
            since = registered(connection)
            reason = self._call([occurrence for _, occurrence in group], connection)
            if registered(connection) > since:
                note = partial(note_after_commit, self.claimer, [item for item, _ in group])
                keep_apart(connection, since, note)
            if reason is None:
                done += len(group)
            else:
                skipped += [(item, reason) for item, _ in group]
        return done, skipped

    def _call(self, group: list[Occurrence], connection: BaseDatabaseWrapper) -> str | None:
        """The reason, where the receiver skipped."""
        reason = None
        try:
            invoke(self.receiver, group)
        except Skip as skip:
            if len(group) > 1:
                # Which of them it skips shows when they are run one by one.
                raise
            reason = str(skip) or "skipped"
        assert_sound(connection)
        return reason

    def _skipped_gone(self, gone: list[tuple[Item, Gone]]) -> list[tuple[Item, str]]:
        if gone and self.receiver.missing == "retry":
            raise LookupError(str(gone[0][1]))
        return [(item, str(reason)) for item, reason in gone]

    def _skip(self, skipped: list[tuple[Item, str]]) -> None:
        for item, reason in skipped:
            self.claimer.skip(item, reason)


def _inserted(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if not item.recorded]
