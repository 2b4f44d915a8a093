from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

_62_BITS = 2**62 - 1

_lock = threading.Lock()
_last = 0
# A system call for each id would be a third of what one costs.
_random: Iterator[int] = iter(())


def _begin_anew() -> None:
    # The parent's lock may be held by a thread that the fork doesn't have, and its random bits are its own.
    global _lock, _random
    _lock, _random = threading.Lock(), iter(())


os.register_at_fork(after_in_child=_begin_anew)


def uuid7() -> uuid.UUID:
    """A time-ordered id (RFC 9562, version 7); later calls of one process give larger ids."""
    return uuid7_at(stamp())


def stamp() -> int:
    """The part of an id that is time: milliseconds, and their fraction in 12 bits (method 3 of section 6.2).

    Later calls of one process give larger ones.
    """
    global _last  # noqa: PLW0603 - order holds within the process
    now = (time.time_ns() << 12) // 1_000_000
    with _lock:
        _last = now if now > _last else _last + 1
        return _last


def uuid7_at(stamp: int) -> uuid.UUID:
    global _random  # noqa: PLW0603 - each number is given once
    random = next(_random, None)
    if random is None:
        # Two threads that come here at once get some each.
        _random = some = iter(memoryview(os.urandom(8 * 256)).cast("Q"))
        random = next(some)
    return uuid.UUID(int=stamp >> 12 << 80 | 7 << 76 | (stamp & 0xFFF) << 64 | 2 << 62 | random & _62_BITS)


def first_of(at: datetime, later: timedelta = timedelta()) -> uuid.UUID:
    """The least id that can be given at that moment: ids of before are smaller, those of later are greater."""
    # Added here: the sum may be no date any more, as of a year 9999 that means for ever.
    milliseconds = max(int((at.timestamp() + later.total_seconds()) * 1000), 0)
    return uuid.UUID(int=min(milliseconds, (1 << 48) - 1) << 80)


def idempotency_key(event_id: uuid.UUID, receiver: str) -> str:
    """One per event and receiver, the same at every try: for the other side of an effect."""
    return str(uuid.uuid5(event_id, receiver))
