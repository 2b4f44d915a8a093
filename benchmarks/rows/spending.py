"""CPU seconds of all processes for each delivery, the saves among them: nothing is hidden in a thread or a relay."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from benchmarks.figures import Figure, Goal, Sample
from benchmarks.ledger import RECEIVERS
from benchmarks.rows.arriving import RATE
from benchmarks.rows.row import Row, some
from benchmarks.stage import ENDS_WITHIN, Stage

SECONDS = 5
# Transactions of one save, one after the other without a pause.
LOOP = 1000
BULK = 1000
WARM = 20


def spending(stage: Stage, scale: float) -> Mapping[str, Sample]:
    single = some(RATE * SECONDS, scale, 20)
    stage.clear()
    with stage.worker():
        stage.ask("pace", model="Item", count=WARM, rate=RATE)
        stage.wait(WARM)
        found = _spent(
            stage, "single", WARM, single, lambda: stage.ask("pace", model="Item", count=single, rate=RATE)
        )
        loop = some(LOOP, scale, 20)
        found |= _spent(
            stage, "loop", WARM + single, loop, lambda: stage.ask("save", model="Item", count=loop)
        )
        before = WARM + single + loop
        found |= _spent(stage, "bulk", before, BULK, lambda: stage.ask("bulk", model="Item", count=BULK))
        stage.check(before + BULK)
    return found


def _spent(
    stage: Stage, name: str, before: int, events: int, emit: Callable[[], object]
) -> dict[str, Sample]:
    """Microseconds for each delivery."""
    began = stage.cpu()
    emit()
    stage.wait(before + events)
    time.sleep(ENDS_WITHIN)
    ended = stage.cpu()
    return {
        f"{name}-{whose}": Sample((ended[whose] - began[whose]) / events / RECEIVERS * 1e6) for whose in began
    }


def _figures(name: str, title: str, goal: Goal) -> tuple[Figure, ...]:
    return (
        Figure(name=f"{name}-python", title=f"{title}: processes of Python", unit="µs", goals={"": goal}),
        Figure(name=f"{name}-broker", title=f"{title}: broker", unit="µs"),
        Figure(name=f"{name}-database", title=f"{title}: database server", unit="µs"),
    )


ROWS = (
    Row(
        name="cpu",
        title="CPU time of each delivery",
        measure=spending,
        figures=(
            *_figures("single", f"single saves, {RATE:g} a second", Goal(at_most=0.5)),
            *_figures("loop", "single saves, one after the other", Goal(at_most=0.5)),
            *_figures("bulk", "1,000 saves in a transaction", Goal(at_most=0.1)),
        ),
    ),
)
