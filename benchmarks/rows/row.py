from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure, Sample
from benchmarks.stage import Stage

# One round of one subject. `scale` is 1, or less where it has to be quick.
Measure = Callable[[Stage, float], Mapping[str, Sample]]


def nothing_before(stages: Sequence[Stage], scale: float) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    title: str
    measure: Measure
    figures: tuple[Figure, ...]
    # Before the first round of it, with the stages of all its subjects.
    before: Callable[[Sequence[Stage], float], None] = nothing_before
    # Names of subjects it says something about.
    subjects: tuple[str, ...] = ("ours", "baseline")
    # Whether a run has it that names no rows.
    usual: bool = True
    # At most so many rounds.
    rounds: int = 100


def some(number: float, scale: float, least: int = 1) -> int:
    return max(least, round(number * scale))
