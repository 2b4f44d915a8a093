"""Takes messages to the broker in a thread of its own: whoever commits never waits for a broker.

One thread per process, started with its first message. See docs/decisions/0006-publishers-budget.md.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Generic, NamedTuple, TypeVar

from events.clock import LOOK_AFTER

logger = logging.getLogger("events")

# Seconds after which a parcel is carried no more: soon the relay looks for it, and both would send it.
_TOO_OLD = LOOK_AFTER / 2
# Seconds between two round trips: commits that meet in them share one, and have Python to themselves meanwhile.
_REST = 0.005
# Seconds a fork waits for the thread to put its locks down; a broker that hangs must not hang a fork.
_FORK_WAIT = 0.25


T = TypeVar("T")


class Load(NamedTuple, Generic[T]):
    """Of one commit, what is for one queue; without a parcel, the question how long that queue is."""

    at: float
    queue: str
    parcel: T | None


class Courier(Generic[T]):
    """`deliver(loads, hurry)` hands over and returns what had better wait a moment; what it raises is given to
    `recover`, which returns when it's over.

    Loads of many commits may come in one call, in the order they were taken. Where somebody waits for the end there is
    a hurry, and none may be returned.
    """

    def __init__(
        self,
        deliver: Callable[[Sequence[Load[T]], bool], Sequence[Load[T]]],
        recover: Callable[[Exception], None],
    ) -> None:
        self._deliver = deliver
        self._recover = recover
        self.begin_anew()

    def begin_anew(self) -> None:
        """As in a new process: nothing waits, and no thread runs."""
        self._changed = threading.Condition()
        # Held while the thread talks to the broker, and may hold locks of its client.
        self.talking = threading.Lock()
        # What each thread that forks has taken: two may fork at once.
        self._held = threading.local()
        self._waiting: deque[Load[T]] = deque()
        # When the oldest load that isn't handed over was taken; None where there is none.
        self._since: float | None = None
        self._recovering = False
        # Of those who wait for the end.
        self._hurrying = 0
        self._thread: threading.Thread | None = None

    def take(self, queues: Collection[str], parcel: T | None = None) -> None:
        """Returns at once: the thread hands over what is in the parcel for each queue, or measures them."""
        now = time.monotonic()
        with self._changed:
            self._waiting += [Load(now, queue, parcel) for queue in queues]
            if self._since is None:
                self._since = now
            if self._thread is None or not self._thread.is_alive():
                self._start()
            self._changed.notify_all()

    def is_late(self, seconds: float) -> bool:
        """Whether something was taken longer ago than that, and isn't handed over."""
        since = self._since
        return since is not None and time.monotonic() - since > seconds

    def finish(self, seconds: float) -> bool:
        """Wait until all is handed over, but not for a broker that fails; whether it is."""
        with self._changed:
            self._hurrying += 1
            try:
                self._changed.wait_for(lambda: self._since is None or self._recovering, seconds)
            finally:
                self._hurrying -= 1
            return self._since is None

    def hold_for_fork(self) -> None:
        self._held.lock = self.talking if self.talking.acquire(timeout=_FORK_WAIT) else None

    def release_after_fork(self) -> None:
        if self._held.lock is not None:
            self._held.lock.release()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="events-courier", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            # The interpreter is ending, or the machine has no thread left: all of it is the relay's.
            self._thread = None
            self._waiting.clear()
            self._since = None

    def _run(self) -> None:
        while True:
            loads = self._next()
            fresh = [load for load in loads if time.monotonic() - load.at < _TOO_OLD]
            left: Sequence[Load[T]] = ()
            try:
                with self.talking:
                    left = self._deliver(fresh, self._hurrying > 0)
            except Exception as error:  # noqa: BLE001 - each broker's client has errors of its own
                self._outlast(error)
            self._settle(left)
            time.sleep(_REST)

    def _next(self) -> list[Load[T]]:
        """All that waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            loads = list(self._waiting)
            self._waiting.clear()
        return loads

    def _settle(self, left: Sequence[Load[T]]) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(left))
            self._since = self._waiting[0].at if self._waiting else None
            self._changed.notify_all()

    def _outlast(self, error: Exception) -> None:
        with self._changed:
            self._recovering = True
            self._changed.notify_all()
        try:
            self._recover(error)
        except Exception:
            # A thread that ended here would be missed: what is late is left to the relay, and nobody starts another.
            logger.exception("events.courier remedy='it goes on with what comes next'")
        self._recovering = False
