from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """When to try again: `first` seconds, each wait `factor` times longer up to `limit`, `tries` in all.

    The default spans about four hours, so that it outlives an SMTP outage.
    """

    first: float = 1
    factor: float = 3
    limit: float = 3600
    jitter: float = 0.1
    tries: int = 12

    def __post_init__(self) -> None:
        whole = isinstance(self.tries, int) and self.tries >= 1
        if not whole or self.first < 0 or self.factor < 1 or self.limit < 0 or not 0 <= self.jitter < 1:
            raise ValueError(
                f"{self!r}: asked for are a whole number of tries >= 1, first >= 0, factor >= 1, limit >= 0 "
                f"and 0 <= jitter < 1."
            )

    def delay(self, tries: int) -> float:
        """Seconds to wait after `tries` failed tries (1 or more)."""
        # A float power overflows near 1e308: the exponent is capped long after every sensible limit.
        wait = min(self.first * self.factor ** min(tries - 1, 64), self.limit)
        return wait * random.uniform(1 - self.jitter, 1 + self.jitter)
