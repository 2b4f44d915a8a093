"""A pool that replaces a process forks its parent, where the heartbeat and the relay have threads.

SQLite keeps its locks in memory for the whole process: a child forked in the middle of a thread's transaction
sees that lock held for ever, by nobody. (psycopg's and the logging module's state are no better to inherit.)
So a fork waits until those threads are between two rounds.
"""

from __future__ import annotations

import os
import threading

# Held by a thread for as long as a fork has to wait for it.
not_forking = threading.RLock()

os.register_at_fork(
    before=not_forking.acquire, after_in_parent=not_forking.release, after_in_child=not_forking.release
)
