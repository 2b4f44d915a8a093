"""Memory after a million deliveries against after ten thousand: of a worker that is never recycled, of a relay
in a process of its own, and of the process that emitted them all."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.place import QUEUES, Place, Timeout, place, wait_for
from benchmarks.report import add_options, machine, tell

# Events in a transaction of the emitter.
TRANSACTION = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of one process, in MiB: with what it shares, and its own alone."""

    rss: float
    uss: float

    @classmethod
    def of(cls, pid: int) -> Memory:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        kib = {name.rstrip(":"): int(size) for name, size, *_ in map(str.split, lines)}
        own = kib["Private_Clean"] + kib["Private_Dirty"]
        return cls(rss=kib["Rss"] / 1024, uss=own / 1024)


def main() -> None:
    options = arguments()
    with place() as here:
        rows = run(here, options)
        tell("memory", rows | machine(), vars(options))
    if not rows["as it should be"]:
        raise SystemExit(1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.memory", description=__doc__.split(":", 1)[0])
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument("--against", type=int, default=10_000, help="deliveries before the first measurement")
    parser.add_argument(
        "--waiting", type=int, default=50_000, help="deliveries that may wait while it goes on"
    )
    parser.add_argument(
        "--at-once",
        action="store_true",
        help="pause the queues until all of it is emitted: that many deliveries wait, and then drain",
    )
    parser.add_argument("--patience", type=float, default=3600.0, help="seconds all of it may take")
    add_options(parser, "memory")
    return parser.parse_args()


def run(here: Place, options: argparse.Namespace) -> dict[str, Any]:
    pids = {"relay": here.relay().pid}
    # Without a relay of its own: of two, either may feed, and one that has never done so knows nothing of the broker.
    pids["worker"] = here.worker("-P", "solo", WORKER_MAX_TASKS_PER_CHILD="0", BENCHMARK_RELAY="off").pid
    pids["emitter"] = os.getpid()
    steps = [options.against, *(options.deliveries * tenth // 10 for tenth in range(1, 11))]
    steps = sorted({step for step in steps if step >= options.against})
    began = time.monotonic()
    sampled = drained_at_once if options.at_once else drained_meanwhile
    samples = {}
    for step in sampled(steps, options, began):
        samples[step] = {name: Memory.of(pid) for name, pid in pids.items()}
        print(
            f"  {step:>9,} " + "  ".join(f"{n} {m.rss:.1f} MiB" for n, m in samples[step].items()), flush=True
        )
    return result(samples, time.monotonic() - began, options)


def drained_meanwhile(steps: Sequence[int], options: argparse.Namespace, began: float) -> Iterator[int]:
    """Each of the steps, when so many deliveries are emitted; the first and the last when they are done."""
    emitted = drained_first(steps[0], options, began)
    yield steps[0]
    for step in steps[1:]:
        emitted = emit(emitted, step, options, began)
        if step == steps[-1]:
            wait_for(is_drained, f"{step} deliveries", left(options, began), every=0.5)
        yield step


def drained_at_once(steps: Sequence[int], options: argparse.Namespace, began: float) -> Iterator[int]:
    """Each of the steps, when so many deliveries are done; all but the first begin when the last is emitted."""
    emitted = drained_first(steps[0], options, began)
    yield steps[0]
    with paused():
        emitted = emit(emitted, steps[-1], options, began, bounded=False)
        waited = waiting()
        print(f"  {waited:,} deliveries wait", flush=True)
    resumed = time.monotonic()
    for step in steps[1:-1]:
        wait_for(lambda step=step: emitted - waiting() >= step, f"{step}", left(options, began), every=0.5)
        yield step
    wait_for(is_drained, f"{steps[-1]} deliveries", left(options, began), every=0.5)
    print(f"  drained at {waited / (time.monotonic() - resumed):,.0f}/s", flush=True)
    yield steps[-1]


def drained_first(step: int, options: argparse.Namespace, began: float) -> int:
    """So many deliveries, done; how many were emitted. All by way of the relay, which imports for the first of them
    what it needs to ask the broker: ten megabytes, once."""
    with paused():
        emitted = emit(0, step, options, began, bounded=False)
    wait_for(is_drained, f"{step} deliveries", left(options, began), every=0.5)
    return emitted


@contextmanager
def paused() -> Iterator[None]:
    """No delivery begins: what is emitted waits for the relay."""
    from events.operations.pausing import Target, pause, resume

    queues = [Target("queue", name) for name in QUEUES.split(",")]
    for queue in queues:
        pause("default", queue, by="benchmarks.memory")
    yield
    for queue in queues:
        resume("default", queue, by="benchmarks.memory")


def left(options: argparse.Namespace, began: float) -> float:
    return float(options.patience - (time.monotonic() - began))


def emit(emitted: int, until: int, options: argparse.Namespace, began: float, *, bounded: bool = True) -> int:
    """Deliveries, counted from the first; where `bounded`, never more waiting than may."""
    from django.db import transaction

    from benchmarks.subject.receivers import IDLE, RARE, idle

    while emitted < until:
        with transaction.atomic():
            for number in range(TRANSACTION):
                idle.send(number=number)
        emitted += TRANSACTION * IDLE + TRANSACTION // RARE
        if bounded:
            wait_for(
                lambda: waiting() < options.waiting, "a shorter backlog", left(options, began), every=0.2
            )
    return emitted


def waiting() -> int:
    from benchmarks.subject.receivers import IDLE
    from events.models import IS_UNFINISHED, Delivery, EventRecord

    return (
        Delivery.objects.filter(IS_UNFINISHED).count()
        + EventRecord.objects.filter(next_at__isnull=False).count() * IDLE
    )


def is_drained() -> bool:
    return waiting() == 0


def result(
    samples: dict[int, dict[str, Memory]], seconds: float, options: argparse.Namespace
) -> dict[str, Any]:
    from events.models import Delivery, State

    first, last = samples[min(samples)], samples[max(samples)]
    rows: dict[str, Any] = {}
    for name in ("worker", "relay", "emitter"):
        for kind in ("rss", "uss"):
            before, after = getattr(first[name], kind), getattr(last[name], kind)
            rows[f"{name}, {kind.upper()}, MiB after {min(samples):,}"] = before
            rows[f"{name}, {kind.upper()}, MiB after {max(samples):,}"] = after
            rows[f"{name}, {kind.upper()}, times"] = after / before
    done = Delivery.objects.filter(state=State.DONE).count()
    return rows | {
        "deliveries done": done,
        "seconds": seconds,
        "deliveries/s, emitting and waiting included": done / seconds,
        "as it should be": max(rows["worker, RSS, times"], rows["relay, RSS, times"]) <= 1.1
        and done == Delivery.objects.count(),
    }


if __name__ == "__main__":
    try:
        main()
    except Timeout as reason:
        raise SystemExit(f"The benchmark did not finish: {reason}") from None
