"""Whether broker and databases answer, and since when: asked by threads, so that nobody waits for one that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Generic, TypeVar

from django.db import connections
from django.utils import timezone

from events import transport

# Seconds a person waits for one that doesn't answer.
PATIENCE = 0.7
# Seconds an answer is believed: pages that refresh themselves, many of them, ask no more often.
_FRESH = 1.0
# The same patience for the first question of a process, which has to import the client before it can ask.
_FIRST = 3.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    ok: bool
    # When this process first found it so, or somebody else before it.
    since: datetime
    # What it said instead of an answer.
    error: str = ""


class Watch(Generic[T]):
    """`ask()` returns something or raises, or hangs for ever: then it holds up one thread, and nobody else."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._asked = float("-inf")
        self._reach: Reach | None = None
        self._answer: T | None = None

    def look(self, patience: float = PATIENCE) -> tuple[Reach, T | None]:
        """What is known within `patience` seconds; an answer only where it was reached."""
        with self._lock:
            patience = patience if self._reach else max(patience, _FIRST)
            thread = self._thread
            if thread is None and time.monotonic() - self._asked > _FRESH:
                thread = self._thread = threading.Thread(target=self._run, name="events-reach", daemon=True)
                thread.start()
        if thread is not None:
            thread.join(patience)
            if thread.is_alive():
                self._note(f"no answer within {patience:g} s", None)
        with self._lock:
            # Somebody has noted something by now: the thread, or we.
            return self._reach or Reach(ok=False, since=timezone.now()), self._answer

    def _run(self) -> None:
        try:
            error, answer = "", self._ask()
        except Exception as failed:  # noqa: BLE001 - each broker's and database's client has errors of its own
            error, answer = f"{type(failed).__name__}: {failed}", None
        self._note(error, answer)
        with self._lock:
            self._thread, self._asked = None, time.monotonic()

    def _note(self, error: str, answer: T | None) -> None:
        with self._lock:
            before = self._reach
            since = before.since if before and before.ok is not bool(error) else timezone.now()
            self._reach, self._answer = Reach(ok=not error, since=since, error=error), answer


def _depths(queues: tuple[str, ...]) -> dict[str, int]:
    try:
        transport.probe()
        return {name: transport.depth(name, 0.5) for name in queues}
    except Exception:
        transport.reset(0.5)
        raise


def _answers(using: str) -> None:
    connection = connections[using]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        # A connection of this thread's own, which is at its end.
        connection.close()


@lru_cache(maxsize=16)
def _broker(queues: tuple[str, ...]) -> Watch[dict[str, int]]:
    return Watch(partial(_depths, queues))


@lru_cache(maxsize=16)
def _database(using: str) -> Watch[None]:
    return Watch(partial(_answers, using))


def broker(queues: tuple[str, ...]) -> tuple[Reach, dict[str, int]]:
    """With the messages in each of the queues, where it answers."""
    reach, depths = _broker(queues).look()
    return reach, depths or {}


def database(using: str) -> Reach:
    reach, _ = _database(using).look()
    return reach
