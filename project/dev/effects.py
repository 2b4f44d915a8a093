"""What a step of the demo must bring about: exactly so often, no less and no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effect:
    name: str
    count: Callable[[], int]
    wanted: int = 1
    lasts: bool = True  # False: a later step of the story undoes it

    def __str__(self) -> str:
        return f"{self.name}: {self.wanted}"

    @property
    def complaint(self) -> str:
        """Empty while it is as wanted."""
        found = self.count()
        if found == self.wanted:
            return ""
        word = "missing" if found < self.wanted else "duplicated" if self.wanted else "not gone"
        return f"{word}: {self.name} (found {found}, wanted {self.wanted})"


def wait_for(effects: Iterable[Effect], seconds: float) -> None:
    """Until they are all as wanted, or time is up: whoever wants to know what is missing asks them."""
    deadline = time.monotonic() + seconds
    waiting = list(effects)
    while waiting and time.monotonic() < deadline:
        waiting = [effect for effect in waiting if effect.complaint]
        time.sleep(0.05 if waiting else 0)
