"""Callables that run after the chunk's commit: the chunk stands, whatever they raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

Note = Callable[[Exception], None]


class Commit:
    """How far a transaction's commit is. A named callable, as on_commit asks for."""

    def __init__(self) -> None:
        # From here on nobody but the database knows whether it committed, until it says so.
        self.asked = False
        self.done = False

    def __call__(self) -> None:
        self.done = True


def registered(connection: BaseDatabaseWrapper) -> int:
    """How many callables wait for the commit."""
    return len(connection.run_on_commit)


def keep_apart(connection: BaseDatabaseWrapper, since: int, note: Note) -> None:
    """Those registered since then raise no more: `note` is told.

    Django skips every callable after one that raises: those of the chunk's other deliveries too.
    """
    callables: list[Any] = connection.run_on_commit
    callables[since:] = [(sids, _Own(run, note), robust) for sids, run, robust in callables[since:]]


class _Own:
    """A receiver's own callable: what it raises is noted on its own delivery."""

    def __init__(self, run: Callable[[], object], note: Note) -> None:
        self.run, self.note = run, note
        self.__qualname__ = getattr(run, "__qualname__", repr(run))

    def __call__(self) -> None:
        try:
            self.run()
        except Exception as error:  # noqa: BLE001 - where receivers run
            self.note(error)
