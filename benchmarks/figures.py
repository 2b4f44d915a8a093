"""The arithmetic: what rounds of several subjects come to, beside what was to be reached."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

BASELINE = "baseline"
OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A ratio to the baseline: to stay below or to exceed. `aim` is what one hopes for besides.

    `unit`: where it is about a figure that is no ratio.
    """

    at_most: float | None = None
    at_least: float | None = None
    aim: float | None = None
    unit: str = "×"

    def is_met(self, ratio: float) -> bool:
        if self.at_most is not None:
            return ratio <= self.at_most
        return self.at_least is not None and ratio >= self.at_least

    def __str__(self) -> str:
        limit = f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"
        return f"{limit} {self.unit} (aim: {self.aim:g} {self.unit})" if self.aim else f"{limit} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a row measures. `goals` is by database, "" for any other; without one it is told for what it's worth."""

    name: str
    title: str
    unit: str
    goals: Mapping[str, Goal] = field(default_factory=dict)
    # Its value is what the goal is about, and no ratio to the baseline.
    is_ratio: bool = False

    def goal(self, database: str) -> Goal | None:
        return self.goals.get(database) or self.goals.get("")


@dataclass(frozen=True, slots=True)
class Sample:
    """Of one round: its value, and the single measurements it was taken from where these mean something."""

    value: float
    single: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Of one subject over all rounds; ratios to the baseline's of the same round."""

    median: float
    low: float
    high: float
    p99: float | None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of them that so many percent do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def summarise(samples: Sequence[Sample], against: Sequence[Sample] | None) -> Summary:
    values = [sample.value for sample in samples]
    single = [each for sample in samples for each in sample.single]
    ratios = _ratios(values, [sample.value for sample in against or ()])
    return Summary(
        median=median(values),
        low=min(values),
        high=max(values),
        p99=percentile(single, 99) if single else None,
        ratio=median(ratios) if ratios else None,
        ratio_low=min(ratios, default=None),
        ratio_high=max(ratios, default=None),
    )


def _ratios(values: Sequence[float], against: Sequence[float]) -> list[float]:
    """Round by round: what slowed the machine down slowed both."""
    return [value / other for value, other in zip(values, against, strict=False) if other]


def verdict(figure: Figure, database: str, summary: Summary) -> bool | None:
    goal, ratio = figure.goal(database), summary.median if figure.is_ratio else summary.ratio
    return None if goal is None or ratio is None else goal.is_met(ratio)


def summarise_all(figure: Figure, rounds: Mapping[str, Sequence[Mapping[str, Sample]]]) -> dict[str, Summary]:
    """By subject, where it measured the figure at all."""
    taken = {
        subject: [one[figure.name] for one in samples if figure.name in one]
        for subject, samples in rounds.items()
    }
    against = taken.get(BASELINE)
    return {subject: summarise(samples, against) for subject, samples in taken.items() if samples}


def as_json(summary: Summary) -> dict[str, Any]:
    return {name: getattr(summary, name) for name in summary.__slots__}
