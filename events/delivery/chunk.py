"""One transaction: some of a message's deliveries are claimed, run and recorded, all of them or none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from events.crashpoints import crashpoint
from events.delivery.claim import AlreadyRecorded
from events.delivery.claiming import insert_known, lock_known
from events.delivery.decoding import Gone, Item, occurrences
from events.delivery.failing import note_after_commit
from events.delivery.gaps import writing_for_long
from events.delivery.invoking import assert_sound, invoke
from events.delivery.occurrence import Occurrence
from events.delivery.on_commit import Commit, keep_apart, registered
from events.delivery.pace import pace
from events.delivery.tally import Tally
from events.delivery.trouble import NotBegun
from events.delivery.unbroken import unbroken
from events.exceptions import BrokenTransaction, Skip
from events.registry import Receiver

if TYPE_CHECKING:
    from events.delivery.running import Run

# Seconds a chunk's transaction may last: longer ones lock SQLite's writers out, and collect deadlocks.
CHUNK_SECONDS = 0.2


def size(receiver: Receiver, most: int) -> int:
    """How many of `most` deliveries a chunk is made of."""
    return min(most, receiver.batch, pace.events_in(CHUNK_SECONDS, receiver.name))


class Chunk:
    """What it did is added to the run's tally when it has committed."""

    def __init__(self, run: Run, items: list[Item]) -> None:
        self.run, self.items = run, items
        self.receiver = run.receiver
        # Its claims bear a token of their own: a chunk before it may have committed, whatever it was told.
        self.claimer = run.claimer.anew()
        self.commit = Commit()
        self.counted = Tally()
        self.begun = False

    def anew(self) -> Chunk:
        """Another in its place, if it has begun."""
        if not self.begun:
            return self
        self.take_back()
        return Chunk(self.run, self.items)

    def take_back(self) -> None:
        """Claims that a receiver committed, of a chunk that failed."""
        if self.begun and not self.commit.asked:
            self.claimer.take_back(self.items)

    def work_off(self) -> list[Item]:
        """Those that it had no time for are returned. Raises what the receivers and the database raise."""
        self.begun = True
        run, commit = self.run, self.commit
        left: list[Item] = []
        ours: list[Item] = []
        try:
            with writing_for_long(run.using):
                # Registered first, so that it runs before any of the receivers' own.
                transaction.on_commit(commit, using=run.using)
                ours = self._claimed_or_not_begun()
                crashpoint("deliver.claimed")
                with unbroken(run.using):
                    left = self._run(ours)
                crashpoint("deliver.finished")
                commit.asked = True
            if run.reset():
                raise BrokenTransaction("The receiver left a block of its own open: nothing was committed.")
        except Exception as error:
            if not commit.done:
                raise
            note_after_commit(self.claimer, ours, error)
        crashpoint("deliver.committed")
        run.tally.add(self.counted)
        if run.conclusion and not left:
            run.conclusion.stands = True
        run.switch.worked(self.counted.done, self.counted.skipped)
        return left

    def _claimed_or_not_begun(self) -> list[Item]:
        try:
            return self._claimed()
        except AlreadyRecorded:
            raise
        except Exception as error:
            # The database is away, or it took too long to wait for another's lock: no receiver ran,
            # and no try is used up.
            raise NotBegun(f"interrupted before {self.receiver.name} began") from error

    def _claimed(self) -> list[Item]:
        counted = self.counted
        fresh = _inserted(self.items)
        recorded = [item for item in self.items if item.recorded]
        ours, refused = lock_known(self.claimer, recorded, careful=self.run.careful)
        counted.refused += refused
        counted.elsewhere += len(recorded) - len(ours) - refused
        inserted = insert_known(self.claimer, fresh) if fresh else []
        counted.refused += len(fresh) - len(inserted)
        return ours + inserted

    def _run(self, ours: list[Item]) -> list[Item]:
        if not ours:
            self._conclude()
            return []
        started = time.monotonic()
        cases = occurrences(self.receiver, self.claimer.receiver, ours, self.run.using)
        present = [(i, c) for i, c in zip(ours, cases, strict=True) if isinstance(c, Occurrence)]
        gone = [(i, c) for i, c in zip(ours, cases, strict=True) if isinstance(c, Gone)]
        done, skipped = self._invoked(present, started)
        ended = max(done + len(skipped) + len(gone), 1)
        self.counted.done += done
        self.counted.skipped += len(skipped) + len(gone)
        left = [item for item, _ in present[done + len(skipped) :]]
        took = (time.monotonic() - started) / ended
        concluded = done == len(ours) and self._concluded_if_kept(ours, took)
        if not concluded:
            self._assert_kept(ours, took)
        self._skip(skipped + self._skipped_gone(gone))
        pace.learn(self.receiver.name, time.monotonic() - started, ended)
        crashpoint("deliver.ran")
        self.claimer.release(left)
        if not (left or concluded):
            self._conclude()
        return left

    def _concluded_if_kept(self, ours: list[Item], took: float) -> bool:
        """The last question, asked by the result's INSERT, where nothing else is to be written: a statement less."""
        if self.run.conclusion is None:
            return False
        kept = self.claimer.keeps(_inserted(ours), took, len(ours))
        return kept is not None and self.run.conclusion.write(self.run.tally, self.counted, provided=kept)

    def _assert_kept(self, ours: list[Item], took: float) -> None:
        # The last question before the commit: a transaction that a receiver broke in silence refuses it, and where
        # our claim vanished with one, the records are fewer than they were.
        if self.claimer.kept(_inserted(ours), took) != len(ours):
            raise BrokenTransaction(
                "The claim is gone: the receiver ended the transaction it runs in. Use offload(atomic=False)."
            )

    def _conclude(self) -> None:
        if self.run.conclusion:
            self.run.conclusion.write(self.run.tally, self.counted)

    def _invoked(
        self, present: list[tuple[Item, Occurrence]], started: float
    ) -> tuple[int, list[tuple[Item, str]]]:
        """Run as many as there is time for; how many are done, and which were skipped, and why."""
        done = 0
        skipped: list[tuple[Item, str]] = []
        groups = [present] if self.receiver.many and present else [[pair] for pair in present]
        # Looked up once: that takes as long as a receiver that does little.
        connection = connections[self.run.using]
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
