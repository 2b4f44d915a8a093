"""The admin's pages over a million deliveries: `benchmarks.pages`, as a row."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.figures import Figure, Goal, Sample
from benchmarks.pages import GOAL
from benchmarks.rows.beside import found
from benchmarks.rows.row import Row, some
from benchmarks.stage import Stage

DELIVERIES = 1_000_000
PAGES = ("health", "flow map", "deliveries", "deliveries, dead letters", "events", "an event", "failures")


def paging(stage: Stage, scale: float) -> Mapping[str, Sample]:
    told = found(stage, "pages", deliveries=some(DELIVERIES, scale, 4))
    return {name: Sample(told[f"{name}, ms"]) for name in PAGES}


ROWS = (
    Row(
        name="pages",
        title="the admin over 1,000,000 deliveries",
        measure=paging,
        figures=tuple(
            Figure(
                name=name,
                title=name,
                unit="ms",
                goals={"postgresql": Goal(at_most=GOAL, unit="ms")},
                is_ratio=True,
            )
            for name in PAGES
        ),
        subjects=("ours",),
        rounds=1,
    ),
)
