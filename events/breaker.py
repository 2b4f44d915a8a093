"""Open while the broker does not answer: the emitting request asks here, and never waits for it.

One thread probes off the request path and closes it when the broker answers again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("events")

# Seconds between probes: how long, at most, deliveries take the relay's way after the broker is back.
PROBE_EVERY = 1.0


class Breaker:
    def __init__(self, probe: Callable[[], None], every: float = PROBE_EVERY) -> None:
        self._probe = probe
        self._every = every
        self._lock = threading.Lock()
        self._open = False
        # A fork carries the state over, but not the thread that would change it.
        self._pid = os.getpid()

    def is_closed(self) -> bool:
        if self._open and self._pid != os.getpid():
            self._open = False
        return not self._open

    def trip(self, error: Exception) -> None:
        with self._lock:
            if self._open and self._pid == os.getpid():
                return
            self._open, self._pid = True, os.getpid()
        logger.warning("events.breaker state=open error=%r remedy='the relay publishes what waits'", error)
        try:
            threading.Thread(target=self._watch, name="events-breaker", daemon=True).start()
        except RuntimeError:
            # No thread can be started, so nobody would close it: the next commit asks the broker again.
            self._open = False

    def _watch(self) -> None:
        while self._open:
            time.sleep(self._every)
            try:
                self._probe()
            except Exception as error:  # noqa: BLE001 - whatever it says, the broker is not back
                logger.debug("events.breaker state=open error=%r", error)
            else:
                self._open = False
        logger.warning("events.breaker state=closed")
