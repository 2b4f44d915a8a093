"""Who we are in the tables: one id per worker, its pool's processes included."""

from __future__ import annotations

import os
import socket
from uuid import uuid4

_identity: str | None = None


def adopt(hostname: str) -> str:
    """Called in a worker's parent before its pool is made: forked children keep the id."""
    global _identity  # noqa: PLW0603 - a process has one identity
    # A restarted worker is another one: what its predecessor held, it doesn't.
    _identity = f"{hostname}#{uuid4().hex[:8]}"
    return _identity


def who() -> str:
    return _identity or adopt(f"{socket.gethostname()}:{os.getpid()}")
