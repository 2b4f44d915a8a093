"""Memory of processes after a million deliveries against after ten thousand: `benchmarks.memory`, as a row."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.figures import Figure, Goal, Sample
from benchmarks.rows.beside import found
from benchmarks.rows.row import Row, some
from benchmarks.stage import Stage

DELIVERIES, AGAINST = 1_000_000, 10_000


def remembering(stage: Stage, scale: float) -> Mapping[str, Sample]:
    told = found(
        stage,
        "memory",
        deliveries=some(DELIVERIES, scale),
        against=some(AGAINST, scale),
        patience=36_000,
    )
    return {name: Sample(told[f"{name}, RSS, times"]) for name in ("worker", "relay")}


ROWS = (
    Row(
        name="memory",
        title="memory, 10,000 against 1,000,000 deliveries",
        measure=remembering,
        figures=tuple(
            Figure(name=name, title=title, unit="×", goals={"": Goal(at_most=1.1)}, is_ratio=True)
            for name, title in (("worker", "worker (solo, not recycled)"), ("relay", "relay"))
        ),
        subjects=("ours",),
        usual=False,
        rounds=1,
    ),
)
