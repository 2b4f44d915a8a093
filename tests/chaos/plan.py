"""What happens when, by the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

# Transactions until a fault strikes, and after it ended until the load pauses.
BEFORE = (15, 60)
AFTER = (15, 40)
# Below these minutes several faults share a round, and so the wait for recovery.
_SHORT = 4.0
_TOGETHER = 3
# And below these, two: strikes take time too.
_SHORTEST = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    fault: str
    # Transactions of the load before it.
    after: int
    # For what the fault itself decides: whom, how long.
    seed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    number: int
    strikes: tuple[Strike, ...]
    # Transactions of the load after the last of them ended.
    tail: int

    @property
    def name(self) -> str:
        return " + ".join(strike.fault for strike in self.strikes) or "none"


def size_of_round(minutes: float) -> int:
    """How many faults share one where nobody says it."""
    return 2 if minutes < _SHORTEST else _TOGETHER if minutes < _SHORT else 1


def rounds(seed: str, faults: Sequence[str], together: int) -> Iterator[Round]:
    """Without end: one in peace, then every fault once, in an order of the seed; then again, in another."""
    yield _round(0, [], seed)
    numbers = count(1)
    for lap in count():
        random = Random(f"{seed}/{lap}")
        order = random.sample(list(faults), len(faults))
        for some in _slices(order, together):
            yield _round(next(numbers), some, seed)


def _slices(order: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _round(number: int, faults: list[str], seed: str) -> Round:
    random = Random(f"{seed}/round {number}")
    strikes = tuple(
        Strike(fault=name, after=random.randint(*BEFORE), seed=f"{seed}/{number}/{place}/{name}")
        for place, name in enumerate(faults)
    )
    return Round(number=number, strikes=strikes, tail=random.randint(*AFTER))
