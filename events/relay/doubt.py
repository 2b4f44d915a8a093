"""Whether the broker takes messages, as far as this relay knows: one that is full still shows its queues."""

from __future__ import annotations

import logging
import time

from events import transport

logger = logging.getLogger("events")

# Seconds from a publish that failed until the broker is asked whether it would take one; doubled each time it says
# so and the next fails even so.
_FIRST, _LONGEST = 1.0, 15.0


class Doubt:
    """What is marked as sent and then refused is looked for twice, and counts as lost: with a message each round, a
    whole backlog would be taken for poison after a few minutes, and be sent one by one."""

    def __init__(self) -> None:
        self.wait = 0.0
        self._ask_at: float | None = None

    def failed(self) -> None:
        """A publish did."""
        self.wait = min(self.wait * 2 or _FIRST, _LONGEST)
        self._ask_at = time.monotonic() + self.wait

    def worked(self) -> None:
        self.wait = 0.0

    def allows(self) -> bool:
        """Whether something may be sent now: asks the broker, where the last publish failed."""
        if self._ask_at is None:
            return True
        if time.monotonic() < self._ask_at:
            return False
        try:
            transport.probe()
        except Exception as error:  # noqa: BLE001 - whatever it says, the broker takes nothing yet
            logger.debug("events.relay broker='takes nothing' error=%r", error)
            return False
        self._ask_at = None
        return True


doubt = Doubt()
