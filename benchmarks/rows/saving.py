"""What receivers add to the time of the process that saves, with no worker running: it would take a core of two.

The queue is emptied every few saves, as a worker would: else the bus would leave its events to the relay, which
costs less, and that would be measured. `request-beside` has a worker running, and saves that come at a slow pace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from benchmarks.figures import BASELINE, Figure, Goal, Sample
from benchmarks.ledger import RECEIVERS
from benchmarks.rows.row import Row, some
from benchmarks.stage import Stage

# 32 messages of four receivers: half of the window from which on the bus leaves events to the relay.
PARK_EVERY = 8
SAVES = 300
BLOCK = 20
# Saves beside a worker, and the seconds between two.
BESIDE, REST = 60, 0.05
BULK = 1000
# The median of a few: what is added is a difference of two times ten times as long.
BULKS = 5
WARM = 100
# Nanoseconds, and those of the thread's CPU time.
Time = tuple[int, int]


def request(stage: Stage, scale: float) -> Mapping[str, Sample]:
    blocks = some(SAVES / BLOCK, scale, 2)
    stage.clear()
    in_turn(stage, BLOCK, park_every=PARK_EVERY)
    times = in_turn(stage, blocks * BLOCK, park_every=PARK_EVERY)
    check(stage, (1 + blocks) * BLOCK)
    return added(times["Plain"], times["Item"], 1e3)


def request_beside(stage: Stage, scale: float) -> Mapping[str, Sample]:
    blocks = some(BESIDE / BLOCK, scale, 2)
    stage.clear()
    with stage.worker():
        in_turn(stage, BLOCK, rest=REST)
        times = in_turn(stage, blocks * BLOCK, rest=REST)
        stage.wait((1 + blocks) * BLOCK)
        stage.check((1 + blocks) * BLOCK)
    return added(times["Plain"], times["Item"], 1e3)


def in_turn(stage: Stage, count: int, **how: float) -> dict[str, list[Time]]:
    found: dict[str, list[Time]] = stage.ask(
        "save_in_turn", models=["Plain", "Item"], count=count, block=BLOCK, **how
    )
    return found


def bulk_save(stage: Stage, scale: float) -> Mapping[str, Sample]:
    stage.clear()
    times: dict[str, list[Time]] = {"Plain": [], "Item": []}
    for model in times:
        stage.ask("bulk", model=model, count=WARM)
    for _ in range(some(BULKS, scale)):
        for model in times:
            stage.ask("park")
            times[model] += stage.ask("bulk", model=model, count=BULK)
    check(stage, WARM + len(times["Item"]) * BULK)
    return added(times["Plain"], times["Item"], 1e6)


def added(plain: Sequence[Time], with_receivers: Sequence[Time], unit: float) -> Mapping[str, Sample]:
    """Of time, and of the CPU time of the saving thread; units of so many nanoseconds."""
    usual, usual_cpu = median(wall for wall, _ in plain), median(cpu for _, cpu in plain)
    walls = [(wall - usual) / unit for wall, _ in with_receivers]
    return {
        "added": Sample(median(walls), walls),
        "mean": Sample(fmean(walls) - (fmean(wall for wall, _ in plain) - usual) / unit),
        "cpu": Sample((median(cpu for _, cpu in with_receivers) - usual_cpu) / unit),
    }


def check(stage: Stage, events: int) -> None:
    if stage.subject.name == BASELINE:
        # What it published is all there is of it: draining it would only take time.
        stage.check_published(events)
    elif (waiting := stage.ask("waiting")) is not None:
        if waiting != events * RECEIVERS:
            stage.fail(f"{waiting} deliveries are stored, for {events} events")
    else:
        stage.unpark()
        with stage.worker():
            stage.wait(events)
            stage.check(events)


def _figures(unit: str, **goals: Goal) -> tuple[Figure, ...]:
    return (
        Figure(
            name="added",
            title="time added, median",
            unit=unit,
            goals={name.strip("_"): goal for name, goal in goals.items()},
        ),
        Figure(name="mean", title="time added, mean", unit=unit),
        Figure(name="cpu", title="CPU time added in the thread that saves", unit=unit),
    )


SUBJECTS = ("synchronous", "ours", "baseline", "outbox", "procrastinate", "pgpubsub")
ROWS = (
    Row(
        name="request",
        title="one save in a transaction",
        measure=request,
        figures=_figures("µs", _=Goal(at_most=0.25, aim=0.10)),
        subjects=SUBJECTS,
    ),
    Row(
        name="request-beside",
        title="one save in a transaction, 20 a second, beside a worker",
        measure=request_beside,
        figures=_figures("µs"),
    ),
    Row(
        name="bulk-save",
        title="1,000 saves in a transaction",
        measure=bulk_save,
        figures=_figures("ms", _=Goal(at_most=0.03)),
        subjects=SUBJECTS,
    ),
)
