"""SQLite has one lock: whoever holds it long leaves it free for a while then, and asks for it no sooner than others.

Who finds it taken asks again after 1, 2, 5, … 100 ms: SQLite's own rule, and that of the project's connections. A
worker that begins its next transaction where the last one ends is met by none of them for as long as its backlog lasts.
See docs/decisions/0011-backlogs.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from events.delivery.waiting import ASK_EVERY, writing

# Seconds. Between shorter ones the others are let in by chance often enough.
_LONG = 0.05
# Of the time that it was held; and the most, after which everybody has asked once.
_SHARE, _MOST = 0.25, 0.1

# Alias → from when on this process may begin its next one, after one that took long.
_free_until: dict[str, float] = {}


@contextmanager
def writing_for_long(using: str) -> Iterator[None]:
    """As `writing`, of a transaction that a receiver runs in."""
    connection = connections[using]
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with writing(using):
            yield
        return
    until = _free_until.pop(using, None)
    if until is None:
        ask_every = ASK_EVERY
    else:
        ask_every = _MOST
        time.sleep(max(0.0, until - time.monotonic()))
    began: float | None = None
    try:
        with writing(using, ask_every):
            began = time.monotonic()
            yield
    finally:
        # Its COMMIT is over: from now on others find it free.
        if began is not None and (took := time.monotonic() - began) >= _LONG:
            _free_until[using] = time.monotonic() + min(took * _SHARE, _MOST)
