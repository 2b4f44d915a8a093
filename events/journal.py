"""What a transaction emitted, kept beside its connection until it commits.

Django has no hook before a commit, and one INSERT per event doubles the cost of a bulk import. So each
connection gets a journal around commit, rollback, close and the savepoints: an event is written with the
transaction that emitted it, in one INSERT at its end, and is published when that has committed.
See docs/decisions/0002-journal.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from events import outbox
from events.crashpoints import crashpoint
from events.outbox import FLUSH_CHARACTERS, FLUSH_EVERY, Emission


class FastPath(Protocol):
    """Publishes right after the commit, where it can."""

    def choose(self, receivers: Mapping[str, str], using: str) -> Sequence[str]:
        """Names of those (name → queue) whose messages it will publish; the relay has the others."""

    def publish(self, emissions: Sequence[Emission], using: str) -> None:
        """Never raises and never waits: what fails is left to the relay. Told of a commit that left all to it, too."""


class Mark(NamedTuple):
    length: int
    flushes: int


class Journal:
    def __init__(self, connection: BaseDatabaseWrapper, fast_path: FastPath) -> None:
        self.connection = connection
        self.fast_path = fast_path
        self.pending: list[Emission] = []
        self.committed: list[Emission] = []
        self.unwritten = 0
        self.unwritten_size = 0
        self.flushes = 0
        self.marks: dict[str, Mark] = {}
        # Savepoint stacks that have a callable in on_commit: Django drops it with any savepoint of its stack.
        self.armed: set[tuple[str | None, ...]] = set()

    def append(self, emission: Emission) -> None:
        connection = self.connection
        if connection.closed_in_transaction:
            # The database rolls this transaction back, and Django will call neither rollback() nor close().
            emission.dropped = True
            return
        # Asked before anything is kept: it connects, and may fail.
        autocommit = connection.in_atomic_block or connection.get_autocommit()
        self.pending.append(emission)
        self.unwritten += 1
        self.unwritten_size += emission.size
        if connection.in_atomic_block:
            # After a bulk's first flush there is nothing to publish: not a callable for each of its savepoints.
            if not self.flushes or not self.armed:
                self._arm()
            if self._is_full() and not connection.needs_rollback:
                self.flush()
        elif autocommit:
            # No transaction is open: the emission is one of its own.
            self._flush_alone()
            self.settle()
            self.publish()
        else:
            # Manual transactions: there is no on_commit, so the relay publishes.
            self.flush(leave=True)
        crashpoint("emit.appended")

    def _is_full(self) -> bool:
        return self.unwritten >= FLUSH_EVERY or self.unwritten_size >= FLUSH_CHARACTERS

    def _flush_alone(self) -> None:
        try:
            self.flush()
        except BaseException:
            # The sender is told: it must not come along with the next one, nor keep that from being stored.
            self.discard()
            raise

    def _arm(self) -> None:
        stack = tuple(self.connection.savepoint_ids)
        if stack not in self.armed:
            self.armed.add(stack)
            self.connection.on_commit(self.publish_after_commit)

    def flush(self, *, leave: bool = False, is_last: bool = False) -> None:
        """Write what isn't written, in the open transaction; `leave` all of it to the relay.

        `is_last`: it is committed next, or with it.
        """
        if leave:
            # A test's, that goes on in the same transaction: its next captureOnCommitCallbacks sees new callables only.
            self.armed = set()
        unwritten = [emission for emission in self.pending if emission.flushed is None]
        self.unwritten = self.unwritten_size = 0
        if not unwritten:
            return
        # A bulk's first flush takes the fast path, the rest is the relay's: the broker holds a window, no more.
        self._choose(unwritten, leave=leave or self.flushes > 0)
        crashpoint("journal.before_flush")
        outbox.insert(self.connection, unwritten, is_last=is_last)
        self.flushes += 1
        for emission in unwritten:
            emission.flushed = self.flushes
        crashpoint("journal.after_flush")
        self._let_go()

    def _choose(self, emissions: Sequence[Emission], *, leave: bool) -> None:
        # Events of the same receivers share their map of them: it is asked for once.
        chosen: dict[int, Sequence[str]] = {}
        for emission in emissions:
            key = id(emission.receivers)
            if key not in chosen:
                chosen[key] = (
                    () if leave else self.fast_path.choose(emission.receivers, self.connection.alias)
                )
            emission.published = chosen[key]

    def _let_go(self) -> None:
        """Of what is written and stands or falls with its row: a transaction may emit more than memory holds.

        What is older than the innermost savepoint stays: that savepoint would take its row along, and not the event.
        """
        mark = next(reversed(self.marks.values()), None)
        start = mark.length if mark else 0
        self.pending[start:] = [
            emission
            for emission in self.pending[start:]
            if emission.flushed is None or emission.published or emission.observed
        ]

    def mark(self, sid: str) -> None:
        self.marks[sid] = Mark(len(self.pending), self.flushes)

    def release(self, sid: str) -> None:
        mark = self.marks.pop(sid, None)
        if mark is not None and self.flushes > mark.flushes:
            self._let_go()

    def roll_back_to(self, sid: str) -> None:
        # A savepoint older than the journal itself: everything here came after it.
        mark = self.marks.get(sid, Mark(0, 0))
        for emission in self.pending[mark.length :]:
            emission.dropped = True
        del self.pending[mark.length :]
        for emission in self.pending:
            if emission.flushed is not None and emission.flushed > mark.flushes:
                # It survives, but the rows of that flush went with the savepoint.
                emission.flushed = None
        again = [emission for emission in self.pending if emission.flushed is None]
        self.unwritten = len(again)
        self.unwritten_size = sum(emission.size for emission in again)
        self.armed = {stack for stack in self.armed if sid not in stack}

    def settle(self) -> None:
        """The transaction committed: what is pending is true now."""
        # The relay has the others; a script that manages its own transactions never asks for them.
        self.committed += [emission for emission in self.pending if emission.published]
        self._begin_anew()

    def discard(self) -> None:
        for emission in self.pending:
            emission.dropped = True
        self.committed = []
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.pending = []
        self.unwritten = self.unwritten_size = 0
        self.flushes = 0
        self.marks = {}
        self.armed = set()

    def publish_after_commit(self) -> None:
        if self.connection.in_atomic_block:
            # Only a test's captureOnCommitCallbacks runs it inside a transaction, which will not commit.
            self.flush(leave=True)
        else:
            crashpoint("journal.after_commit")
            self.publish()

    def publish(self) -> None:
        emissions, self.committed = self.committed, []
        self.fast_path.publish(emissions, self.connection.alias)


def journal_of(using: str, fast_path: FastPath) -> Journal:
    """The journal of this thread's connection to `using`, installed at its first emission."""
    connection = connections[using]
    journal: Journal | None = getattr(connection, "events_journal", None)
    if journal is None:
        journal = Journal(connection, fast_path)
        connection.events_journal = journal  # type: ignore[attr-defined]
        _wrap(connection, journal)
    return journal


def installed(using: str) -> Journal | None:
    return getattr(connections[using], "events_journal", None)


def _wrap(connection: BaseDatabaseWrapper, journal: Journal) -> None:
    commit, rollback, close = connection.commit, connection.rollback, connection.close
    savepoint, roll_back_to = connection.savepoint, connection.savepoint_rollback
    release = connection.savepoint_commit
    # Another app's, around it as ours is, may have something to write too.
    is_django = "commit" not in vars(connection)

    def commit_with_journal() -> None:
        try:
            journal.flush(is_last=is_django)
            commit()
        except BaseException:
            # Atomic rolls back for a DatabaseError only: anything else here would leave
            # the transaction open, and the next statement would commit rows without their events.
            with suppress(Error):
                connection.rollback()
            raise
        journal.settle()

    def savepoint_with_mark() -> Any:
        sid = savepoint()
        if sid is not None:
            journal.mark(sid)
        return sid

    def release_and_forget(sid: str) -> None:
        # Where it fails, Django rolls back to the savepoint next, and its mark is asked for.
        release(sid)
        journal.release(sid)

    connection.commit = commit_with_journal  # type: ignore[method-assign]
    connection.rollback = _then(rollback, journal.discard)  # type: ignore[method-assign]
    connection.close = _then(close, journal.discard)  # type: ignore[method-assign]
    connection.savepoint = savepoint_with_mark  # type: ignore[method-assign]
    connection.savepoint_rollback = _then(roll_back_to, journal.roll_back_to)  # type: ignore[method-assign]
    connection.savepoint_commit = release_and_forget  # type: ignore[method-assign]


def _then(first: Callable[..., Any], second: Callable[..., None]) -> Callable[..., Any]:
    def both(*args: Any) -> Any:
        try:
            return first(*args)
        finally:
            second(*args)

    return both
