"""What a backlog costs those who have nothing to do with it: the same work beside few and many unfinished rows.

Of them, half wait for a queue that no worker serves, and half for a time that is far away.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from benchmarks.figures import Figure, Goal, Sample
from benchmarks.rows.draining import drain
from benchmarks.rows.row import Row, some
from benchmarks.rows.saving import PARK_EVERY
from benchmarks.stage import Stage

FEW, MANY = 1_000, 1_000_000
SAVES = 400
BACKLOG = 3_000


def growing(stage: Stage, scale: float) -> Mapping[str, Sample]:
    # Before and after: a process that has just begun is slower.
    before = _cost(stage, FEW, scale)
    many = _cost(stage, some(MANY, scale), scale)
    after = _cost(stage, FEW, scale)
    few = {name: min(value, after[name]) for name, value in before.items()}
    return {
        **{f"{name}-few": Sample(value) for name, value in few.items()},
        **{f"{name}-many": Sample(value) for name, value in many.items()},
        **{f"{name}-times": Sample(many[name] / few[name]) for name in few},
    }


def _cost(stage: Stage, unfinished: int, scale: float) -> dict[str, float]:
    """Microseconds: of a save that emits, of the CPU of it, and of a delivery that the relay sends."""
    stage.clear()
    stage.ask("pretend", deliveries=unfinished)
    saves = some(SAVES, scale, 40)
    stage.ask("save", model="Item", count=40, park_every=PARK_EVERY)
    times = stage.ask("save", model="Item", count=saves, park_every=PARK_EVERY)
    stage.unpark()
    backlog = some(BACKLOG, scale, 100)
    stage.ask("save", model="Item", count=backlog)
    rate = drain(stage, 40 + saves + backlog)["rate"].value
    return {
        "emit": median(wall for wall, _ in times) / 1e3,
        "emit-cpu": median(cpu for _, cpu in times) / 1e3,
        "deliver": 1e6 / rate,
    }


_TITLES = {
    "emit": "emit (a save and its commit)",
    "emit-cpu": "emit, CPU time of the thread",
    "deliver": "relay and complete a delivery",
}

ROWS = (
    Row(
        name="unfinished",
        title="1,000 against 1,000,000 unfinished deliveries",
        measure=growing,
        figures=tuple(
            figure
            for name, title in _TITLES.items()
            for figure in (
                Figure(name=f"{name}-few", title=f"{title}, 1,000", unit="µs"),
                Figure(name=f"{name}-many", title=f"{title}, 1,000,000", unit="µs"),
                Figure(
                    name=f"{name}-times",
                    title=f"{title}, many to few",
                    unit="×",
                    goals={"": Goal(at_most=1.2)},
                    is_ratio=True,
                ),
            )
        ),
        subjects=("ours",),
        usual=False,
    ),
)
