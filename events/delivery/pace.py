"""How many events of a receiver fit into a chunk's transaction, by how long they took."""

from __future__ import annotations


class Pace:
    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def learn(self, name: str, seconds: float, events: int) -> None:
        each = seconds / events
        self._seconds[name] = (self._seconds.get(name, each) + each) / 2

    def events_in(self, seconds: float, name: str) -> int:
        each = self._seconds.get(name, 0)
        return max(1, int(seconds / each)) if each else 1_000_000


pace = Pace()
