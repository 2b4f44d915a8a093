"""Open while the broker takes no messages: emitters ask here, and leave their events to the relay."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from django.utils import timezone

logger = logging.getLogger("events")

# Seconds between probes: how long, at most, deliveries take the relay's way after the broker is back.
PROBE_EVERY = 1.0
# The same, for a broker that satisfies the probe and fails at the next publish, again and again.
PROBE_LONGEST = 30.0


class Breaker:
    """`probe()` raises as long as the broker would not take a message."""

    def __init__(self, probe: Callable[[], None], every: float = PROBE_EVERY) -> None:
        self._probe = probe
        self._every = every
        self.begin_anew()

    def begin_anew(self) -> None:
        """As in a new process, which has no opinion of the broker yet."""
        self._open = False
        # When it opened or closed; None where it was never open.
        self.since: datetime | None = None
        # Seconds before each probe of the next opening.
        self.wait = self._every

    def is_closed(self) -> bool:
        return not self._open

    def worked(self) -> None:
        """A publish succeeded: the next opening is a new trouble."""
        self.wait = self._every

    def outlast(self, error: Exception) -> None:
        """Open it for this error, and probe until it can be closed: for a thread that nobody waits for."""
        self._open = True
        self.since = timezone.now()
        logger.warning("events.breaker state=open error=%r remedy='the relay publishes what waits'", error)
        while self._open:
            time.sleep(self.wait)
            try:
                self._probe()
            except Exception as still:  # noqa: BLE001 - whatever it says, the broker is not back
                logger.debug("events.breaker state=open error=%r", still)
            else:
                self._open, self.since = False, timezone.now()
        # If the next publish fails even so, the probe knows too little: it would close in vain each time, and each
        # time cost a publish and two lines of log.
        self.wait = min(self.wait * 2, PROBE_LONGEST)
        logger.warning("events.breaker state=closed")
