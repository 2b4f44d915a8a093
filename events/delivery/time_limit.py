"""The soft time limit strikes while a receiver runs, and nowhere else.

Celery interrupts with SIGUSR1, wherever its pool's process is just then. Inside Django's `atomic()`, which holds
no such moment in mind, that left a transaction open which nobody would end: on SQLite it locked out every writer
until the process was gone. And a delivery that only waited for another's lock would pay for it with a try.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from billiard.pool import soft_timeout_sighandler

from events.delivery.trouble import NotBegun


class _Limit:
    """This process's, of the message it works off. Python runs signal handlers in the main thread alone."""

    ours = False
    running = False
    late = False


def prepare(*, ours: bool) -> None:
    """A task begins; `ours`: it is a message of the bus, and not somebody else's task."""
    _Limit.ours, _Limit.running, _Limit.late = ours, False, False
    # Other pools have no soft limit: there the signal means something else, or comes to no thread of theirs.
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGUSR1) is soft_timeout_sighandler
    ):
        signal.signal(signal.SIGUSR1, _strike)


def _strike(number: int, frame: Any) -> None:
    if _Limit.ours and not _Limit.running:
        _Limit.late = True
        return
    # It strikes once: what is recorded next is not to be interrupted.
    _Limit.running = False
    raise SoftTimeLimitExceeded


@contextmanager
def interruptible() -> Iterator[None]:
    """Around the receiver's own code. Raises `NotBegun` where the time went by before it came to run."""
    if _Limit.late:
        raise NotBegun("its time limit passed while it waited for the database")
    _Limit.running = True
    try:
        yield
    finally:
        _Limit.running = False
