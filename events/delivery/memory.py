"""When a receiver takes all memory: a reserve to record its failure with, and another process for what comes next."""

from __future__ import annotations

import mmap
import os
import traceback
from typing import NoReturn

from billiard import current_process

from events.delivery.trouble import NotBegun


class _Reserve:
    """Address space, with nothing in it: kept, it takes no memory."""

    SIZE = 16 * 1024 * 1024
    kept = mmap.mmap(-1, SIZE)


def keep_reserve() -> None:
    if _Reserve.kept.closed:
        try:
            _Reserve.kept = mmap.mmap(-1, _Reserve.SIZE)
        except OSError:
            no_memory_left()


def let_go(error: MemoryError) -> None:
    """Of what the receiver has in hand: rolling back and recording need some; and to let go of it takes some too."""
    _Reserve.kept.close()
    traceback.clear_frames(error.__traceback__)


def no_memory_left() -> NoReturn:
    """This process works off nothing more: what it takes up next would fail for want of memory, whatever it is.

    A pool makes another, and what this one held comes back one by one, and counted.
    """
    if current_process().name != "MainProcess":
        os._exit(os.EX_OSERR)
    # Celery would end the whole worker for a MemoryError.
    raise NotBegun("no memory was left to work off this message")
