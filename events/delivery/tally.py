from __future__ import annotations

from dataclasses import dataclass

from events.models import State


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the deliveries of a message; `elsewhere`: not ours to run."""

    done: int = 0
    skipped: int = 0
    retrying: int = 0
    dead: int = 0
    refused: int = 0
    elsewhere: int = 0

    def failed(self, state: State | None) -> None:
        if state is State.DEAD:
            self.dead += 1
        elif state is State.WAITING:
            self.retrying += 1
        else:
            self.elsewhere += 1

    def add(self, other: Tally) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def summary(self) -> dict[str, int]:
        """As task results show it: what there was any of."""
        counts = {name: getattr(self, name) for name in self.__slots__}
        return {name: count for name, count in counts.items() if count}
