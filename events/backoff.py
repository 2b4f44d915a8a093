from __future__ import annotations

import math
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
        if not self._makes_sense():
            raise ValueError(
                f"{self!r}: asked for are a whole number of tries >= 1, first >= 0, factor >= 1, limit >= 0 "
                f"and 0 <= jitter < 1."
            )

    def _makes_sense(self) -> bool:
        numbers = (self.first, self.factor, self.limit, self.jitter)
        if type(self.tries) is not int or any(type(number) not in (int, float) for number in numbers):
            return False
        # So written that a NaN makes none.
        return (
            self.tries >= 1
            and 0 <= self.first < math.inf
            and self.factor >= 1
            and self.limit >= 0
            and 0 <= self.jitter < 1
        )

    def delay(self, tries: int) -> float:
        """Seconds to wait after `tries` failed tries (1 or more)."""
        # A float power overflows near 1e308: the exponent is capped long after every sensible limit.
        wait = min(self.first * self.factor ** min(tries - 1, 64), self.limit)
        return wait * random.uniform(1 - self.jitter, 1 + self.jitter)
