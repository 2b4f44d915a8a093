"""A worker takes the next messages while it runs some, as long as runs are short.

With a prefetch of one, a process waits after each message until its parent has acknowledged it, asked for the next,
taken it and handed it over: as long as a quick receiver runs. With more, a message lies behind one of ten minutes while
another worker is idle. So one more is taken for each process, and one that had to wait goes back to its queue. See
docs/decisions/0017-ahead.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import bootsteps
from celery.worker import state

from events.conf import settings
from events.worker.channels import pops
from events.worker.in_hand import KeepInHand

logger = logging.getLogger("events")


class Ahead(bootsteps.StartStopStep):  # type: ignore[misc]  # celery ships no types
    """Of each connection: where the broker is Redis, and a pool of processes is handed messages by an event loop."""

    requires = (KeepInHand,)

    def start(self, parent: Any) -> None:
        channel = parent.task_consumer.channel
        semaphore: Any = getattr(parent.controller, "semaphore", None)
        seconds = settings.LOOK_AHEAD
        # Threads take all they are given, and there is no way back from there.
        waits = parent.hub is not None and semaphore is not None and parent.pool.uses_semaphore
        # Nor without Celery's locks, where all that is taken is handed to the pool at once.
        waits = waits and parent.controller.pool_putlocks
        if seconds is not None and waits and pops(channel):
            look_ahead = LookAhead(
                seconds,
                channel.qos,
                parent.pool.num_processes,
                lambda: semaphore.value > 0,
                parent.hub,
                partial(_more_may_begin, parent),
            )
            channel.qos.can_consume = look_ahead.can_consume
            _current[:] = [look_ahead]


class LookAhead:
    """Whether more messages are taken than run; and which go back.

    `short`: seconds; a run of less is short, and no message waits longer than that for one to end. `is_free` says
    whether a process would begin at once, `may_begin` whether one has nothing to run or would be made for another
    message; `hub` is the worker's event loop.
    """

    def __init__(
        self,
        short: float,
        qos: Any,
        processes: int,
        is_free: Callable[[], bool],
        hub: Any,
        may_begin: Callable[[], bool],
    ) -> None:
        self._short = short
        self._qos = qos
        self._can_consume: Callable[[], bool] = qos.can_consume
        self._processes = processes
        self._is_free = is_free
        self._hub = hub
        self._may_begin = may_begin
        self.runs_are_short = False

    def can_consume(self) -> bool:
        """In the place of kombu's, which knows no more than how many are allowed."""
        if self._qos.channel._in_poll:
            # The broker has been asked. kombu would leave its answer, off the queue already, in the socket: in
            # nobody's hand until a run ends.
            return True
        if not self.runs_are_short:
            # Of a task that is acknowledged before it runs kombu knows nothing: what came behind it would go back,
            # and be taken again, until it ends.
            return self._may_begin() and self._can_consume()
        allowed = self._qos.prefetch_count
        self._qos.prefetch_count = allowed + self._processes
        try:
            return self._can_consume()
        finally:
            self._qos.prefetch_count = allowed

    def received(self, request: Any) -> None:
        if not self._is_free():
            self._hub.call_later(self._short, self._look, request)

    def ended(self, seconds: float) -> None:
        """A message was worked off."""
        self.runs_are_short = seconds < self._short

    def put_off(self, acknowledge: Callable[[], None]) -> bool:
        """Have the loop hand over the next message first: its process waits, and the broker doesn't. Whether it will.

        Not where none is on its way to a process: the loop might sleep then.
        """
        if not _is_handing_over():
            return False
        # The next turn of the loop begins with this, which has Celery call the broker in the turn after it, and ends
        # with handing over.
        self._hub.call_soon(acknowledge)
        return True

    def _look(self, request: Any) -> None:
        if _has_begun(request) or request not in state.reserved_requests:
            # Or it waits for its time or its rate, as another app's may, or its connection is gone, and it with that.
            return
        self.runs_are_short = False
        # Celery asks that before it begins one, and frees the process that it had for it.
        request._already_revoked = True
        request.reject(requeue=True)
        state.task_ready(request)
        logger.debug("events.worker message=%s waited=%s result='back to its queue'", request.id, self._short)


def _more_may_begin(consumer: Any) -> bool:
    processes: int = consumer.pool.num_processes
    # Where Celery scales by itself, it does so for messages that have nobody to run them.
    return _begun() < processes or processes < int(consumer.controller.max_concurrency or 0)


def _begun() -> int:
    return sum(request._apply_result is not None for request in state.reserved_requests)


def _is_handing_over() -> bool:
    return any(request._apply_result and not request.time_start for request in state.reserved_requests)


def _has_begun(request: Any) -> bool:
    return request._apply_result is not None or request.acknowledged


# Of this process's consumer, and its connection of now.
_current: list[LookAhead] = []


def note_received(request: Any, **kwargs: Any) -> None:
    for look_ahead in _current:
        look_ahead.received(request)


def note_end(request: Any) -> None:
    """Called for each message of the bus that its worker is done with."""
    for look_ahead in _current:
        if request.time_start is not None:
            look_ahead.ended(time.time() - request.time_start)


def put_off(acknowledge: Callable[[], None]) -> bool:
    """See `LookAhead.put_off`; where nothing is taken ahead nothing is put off."""
    is_ending = state.should_stop is not None or state.should_terminate is not None
    return not is_ending and any(look_ahead.put_off(acknowledge) for look_ahead in _current)
