"""A pool that replaces a process forks its parent, where the heartbeat and the relay have threads.

SQLite keeps its locks in memory for the whole process: a child forked in the middle of a thread's transaction
sees that lock held for ever, by nobody. (psycopg's and the logging module's state are no better to inherit.)
So a fork waits until those threads are between two rounds.
"""

from __future__ import annotations

import os
import threading

# Held by a thread for as long as a fork has to wait for it. One each: a relay that waits for its broker
# must not keep the heartbeat from beating, or its worker would be buried alive.
not_forking_heartbeat = threading.RLock()
not_forking_relay = threading.RLock()

# What is registered last is called first: the fork waits for the relay before it stops the heartbeat.
for _lock in (not_forking_heartbeat, not_forking_relay):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
