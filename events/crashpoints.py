"""Places where dying matters. Under EVENTS_CRASHPOINT=name a process kills itself there, once.

EVENTS_CRASHPOINT_ONCE names a file: the first process to create it dies, later ones pass.
"""

from __future__ import annotations

import os
import signal

_TARGET = os.environ.get("EVENTS_CRASHPOINT", "")
_ONCE = os.environ.get("EVENTS_CRASHPOINT_ONCE", "")

NAMES = frozenset(
    {
        "emit.appended",
        "journal.before_flush",
        "journal.after_flush",
        "journal.after_commit",
        "publish.before",
        "publish.after",
        "deliver.received",
        "deliver.claimed",
        "deliver.ran",
        "deliver.finished",
        "deliver.committed",
        "deliver.failed",
        "careful.counted",
        "relay.materialised",
        "relay.marked_sent",
        "relay.metered",
        "relay.published",
        "prune.halfway",
    }
)


def crashpoint(name: str) -> None:
    if _TARGET and name == _TARGET and _first():
        os.kill(os.getpid(), signal.SIGKILL)


def _first() -> bool:
    if not _ONCE:
        return True
    try:
        os.close(os.open(_ONCE, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
