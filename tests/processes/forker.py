"""A process that forks while its relay, or its heartbeat, is in the middle of a statement that writes to SQLite."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from contextlib import closing
from typing import Any

import django

# Seconds that statement takes: the fork comes within them, or waits for their end.
STATEMENT = 2.0
# Seconds the child asks for the lock.
PATIENCE = 5.0


def main(thread: str) -> int:
    django.setup()
    from django.db.backends.signals import connection_created

    writing = threading.Event()
    connection_created.connect(lambda connection, **_: _linger(connection, writing), weak=False)
    running = _started(thread)
    if not writing.wait(30):
        raise SystemExit(f"the {thread} wrote nothing")
    child = os.fork()
    if child == 0:
        os._exit(_written())
    _, status = os.waitpid(child, 0)
    running.stop()
    print("the child writes" if status == 0 else "the child is locked out", flush=True)  # noqa: T201 - the test reads it
    return status


def _started(thread: str) -> Any:
    if thread == "heartbeat":
        from events.worker.heartbeat import Heartbeat

        heartbeat = Heartbeat(queues=["default"], processes=1)
        heartbeat.start()
        return heartbeat
    from events.relay.loop import Relay

    relay = Relay()
    threading.Thread(target=relay.run, daemon=True).start()
    return relay


def _linger(connection: Any, writing: threading.Event) -> None:
    """The first statement of the new connection that holds SQLite's one lock holds it for a while."""
    probe = sqlite3.connect(_path(), timeout=0, isolation_level=None)

    def step() -> int:
        if not writing.is_set() and _is_locked(probe):
            writing.set()
            time.sleep(STATEMENT)
        return 0

    # Called between any two steps of a statement.
    connection.connection.set_progress_handler(step, 1)


def _is_locked(probe: sqlite3.Connection) -> bool:
    try:
        probe.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    probe.execute("ROLLBACK")
    return False


def _written() -> int:
    """In the child: 0, if it gets the lock."""
    with closing(sqlite3.connect(_path(), timeout=PATIENCE, isolation_level=None)) as own:
        return int(_is_locked(own))


def _path() -> str:
    from django.db import connection

    return str(connection.settings_dict["NAME"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
