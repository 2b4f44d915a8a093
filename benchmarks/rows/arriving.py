"""From commit to the beginning of a receiver, with events that arrive one at a time and a worker that keeps up."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.figures import Figure, Goal, Sample, percentile
from benchmarks.rows.row import Row, some
from benchmarks.stage import Stage

RATE = 20.0
SECONDS = 15
# Events before those that count: connections are made, and what is compiled once is.
WARM = 40


def latency(stage: Stage, scale: float) -> Mapping[str, Sample]:
    events = some(RATE * SECONDS, scale, 40)
    stage.clear()
    with stage.worker():
        stage.ask("pace", model="Item", count=WARM, rate=RATE)
        stage.wait(WARM)
        committed = stage.ask("pace", model="Item", count=events, rate=RATE)
        stage.wait(WARM + events)
        stage.check(WARM + events)
    waited = waits(stage, committed)
    return {"p50": Sample(percentile(waited, 50), waited), "p99": Sample(percentile(waited, 99))}


def waits(stage: Stage, committed: list[tuple[int, int]]) -> list[float]:
    """Milliseconds."""
    return [(start - at) / 1e6 for event, at in committed for start in stage.ledger.starts_of(event)]


ROWS = (
    Row(
        name="latency",
        title="20 events a second",
        measure=latency,
        figures=(
            Figure(name="p50", title="commit to start, p50", unit="ms", goals={"": Goal(at_most=1.0)}),
            Figure(name="p99", title="commit to start, p99", unit="ms", goals={"": Goal(at_most=1.5)}),
        ),
        subjects=("ours", "baseline", "outbox", "procrastinate", "pgpubsub"),
    ),
)
