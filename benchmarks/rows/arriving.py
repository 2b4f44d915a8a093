"""From commit to the beginning of a receiver, with events that arrive one at a time and a worker that keeps up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.figures import Figure, Goal, Sample, percentile
from benchmarks.ledger import RECEIVERS
from benchmarks.lineup import BASELINE
from benchmarks.rows.draining import drain_single
from benchmarks.rows.row import Row, some
from benchmarks.stage import Stage

RATE = 20.0
SECONDS = 12
# Events before those that count: connections are made, and what is compiled once is.
WARM = 20
# Nanoseconds from the last commit to when nothing may be left, where there is no backlog.
SOON = 250_000_000


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


def choose_rate(stages: Sequence[Stage], scale: float) -> None:
    """For all, half of what plain Celery can do here and now; where it isn't measured, of what it can at rest."""
    rate = next(
        (drain_single(stage, scale)["rate"].value for stage in stages if stage.subject is BASELINE),
        BASELINE.rates[stages[0].database],
    )
    for stage in stages:
        stage.arrivals = rate / 2


def arriving(stage: Stage, scale: float) -> Mapping[str, Sample]:
    rate = stage.arrivals / RECEIVERS
    events = some(rate * SECONDS, scale, 40)
    stage.clear()
    with stage.worker():
        stage.ask("pace", model="Item", count=WARM, rate=RATE)
        stage.wait(WARM)
        committed = stage.ask("pace", model="Item", count=events, rate=rate)
        stage.wait(WARM + events)
        stage.check(WARM + events)
    waited = waits(stage, committed)
    return {
        "rate": Sample(kept_up(stage.ledger.starts()[WARM * RECEIVERS :], committed, rate * RECEIVERS)),
        "p50": Sample(percentile(waited, 50), waited),
        "p99": Sample(percentile(waited, 99)),
    }


def kept_up(starts: Sequence[int], committed: Sequence[tuple[int, int]], rate: float) -> float:
    """Deliveries a second: the rate at which they came, where soon after the last not one was left to begin."""
    first, last = committed[0][1], committed[-1][1]
    begun = sum(start <= last + SOON for start in starts)
    if begun == len(starts):
        return rate
    return min(rate, begun / (last + SOON - first) * 1e9)


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
    Row(
        name="arrival",
        title="single saves arriving at half of what plain Celery's worker can do",
        measure=arriving,
        before=choose_rate,
        figures=(
            Figure(
                name="rate",
                title="deliveries a second without a backlog",
                unit="/s",
                goals={"": Goal(at_least=1)},
            ),
            Figure(name="p50", title="commit to start, p50", unit="ms", goals={"": Goal(at_most=1.0)}),
            Figure(name="p99", title="commit to start, p99", unit="ms", goals={"": Goal(at_most=1.5)}),
        ),
    ),
)
