"""Deliveries a second of one worker process, from a backlog that was emitted while no worker ran.

From the beginning of the first delivery to the beginning of the last: what the relay has to do first is in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from benchmarks.figures import Figure, Goal, Sample
from benchmarks.ledger import RECEIVERS
from benchmarks.rows.row import Row, some
from benchmarks.stage import ENDS_WITHIN, Stage

# What a subject can do in about so many seconds, by its rate; events of a transaction.
SECONDS = 4.0
TRANSACTION = 500
MOST = 12_000
PEERS = ("outbox", "procrastinate", "pgpubsub")


def backlog(stage: Stage, scale: float, factor: float = 1.0) -> int:
    """How many events, so that it takes long enough and not too long."""
    rate = stage.subject.rates[stage.database] * factor
    return min(MOST, some(rate * SECONDS / RECEIVERS, scale, 50))


def drain(stage: Stage, events: int) -> Mapping[str, Sample]:
    with stage.worker():
        began = stage.cpu()["python"]
        stage.wait(events)
        time.sleep(ENDS_WITHIN)
        ended = stage.cpu()["python"]
        stage.check(events)
    starts = stage.ledger.starts()
    return {
        "rate": Sample((len(starts) - 1) / (starts[-1] - starts[0]) * 1e9),
        "cpu": Sample((ended - began) / len(starts) * 1e6),
    }


def in_bulk(stage: Stage, model: str, events: int) -> None:
    stage.clear()
    for start in range(0, events, TRANSACTION):
        stage.ask("bulk", model=model, count=min(TRANSACTION, events - start))


def drain_bulk(stage: Stage, scale: float) -> Mapping[str, Sample]:
    events = backlog(stage, scale)
    in_bulk(stage, "Item", events)
    return drain(stage, events)


def drain_single(stage: Stage, scale: float) -> Mapping[str, Sample]:
    events = backlog(stage, scale, 0.5)
    stage.clear()
    stage.ask("save", model="Item", count=events)
    return drain(stage, events)


def drain_rows(stage: Stage, scale: float) -> Mapping[str, Sample]:
    events = backlog(stage, scale, 0.5)
    in_bulk(stage, "Listed", events)
    found = drain(stage, events)
    if stage.ask("inserted") != [events * RECEIVERS] * 2:
        stage.fail(f"{stage.ask('inserted')} rows and different ones, for {events * RECEIVERS} deliveries")
    return found


def drain_loose(stage: Stage, scale: float) -> Mapping[str, Sample]:
    events = backlog(stage, scale, 0.2 if stage.subject.name == "ours" else 1.0)
    in_bulk(stage, "Loose", events)
    return drain(stage, events)


def _rate(**goals: Goal) -> tuple[Figure, ...]:
    return (
        Figure(
            name="rate",
            title="deliveries a second",
            unit="/s",
            goals={name.strip("_"): goal for name, goal in goals.items()},
        ),
        # Says what a busy machine hides.
        Figure(name="cpu", title="CPU time of worker and relay for each delivery", unit="µs"),
    )


ROWS = (
    Row(
        name="drain-bulk",
        title="backlog from bulk transactions, receivers that do nothing",
        measure=drain_bulk,
        figures=_rate(_=Goal(at_least=10)),
        subjects=("ours", "baseline", *PEERS),
    ),
    Row(
        name="drain-single",
        title="backlog from single-save transactions",
        measure=drain_single,
        figures=_rate(_=Goal(at_least=5)),
        subjects=("ours", "baseline", *PEERS),
    ),
    Row(
        name="drain-rows",
        title="`many=True` receivers that insert a row per event, bulk",
        measure=drain_rows,
        figures=_rate(_=Goal(at_least=10)),
        subjects=("ours", "baseline", *PEERS),
    ),
    Row(
        name="drain-loose",
        title="`atomic=False` receivers, bulk",
        measure=drain_loose,
        figures=_rate(sqlite=Goal(at_least=2), postgresql=Goal(at_least=1.2)),
    ),
)
