"""How many messages a backlog costs, for each that it needs; and whether any effect happened twice.

Deliveries wait behind workers that are stopped (frozen, with what they had taken), the broker is emptied while
they wait, and while they drain one worker is frozen and killed. Needed are, and nothing else:

- for each receiver, its deliveries divided by its batch: each delivery in one message, all messages full;
- the messages that were in the broker when it was emptied: they are gone;
- for the deliveries that the killed worker had in hand and had not finished, which are gone too: one message each
  for those it was known to hold, since each may have been what killed it; full messages for the others.

Published are all that the broker itself counted: its LPUSH and RPUSH calls, whoever made them.
"""

from __future__ import annotations

import argparse
import math
import signal
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from benchmarks.place import Place, Process, Timeout, place, wait_for
from benchmarks.report import add_options, machine, tell

# Events in a transaction of the emitter.
TRANSACTION = 500
# What each event goes to: see benchmarks.subject.receivers.
RECEIVERS = 2
QUEUES = ("default", "audit")


@dataclass(slots=True)
class Found:
    published: int = 0
    flushed: int = 0
    in_hand: int = 0
    messages_for_those: int = 0
    filled_in: float = 0.0
    drained_in: float = 0.0
    killed_at: Any = None
    batches: int = 0

    @property
    def needed(self) -> int:
        return self.batches + self.flushed + self.messages_for_those


def main() -> None:
    options = arguments()
    with place() as here:
        found = run(here, options)
        rows = result(found)
        tell("backlog", rows | machine(), vars(options))
    if not rows["as it should be"]:
        raise SystemExit(1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.backlog", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--deliveries", type=int, default=100_000)
    parser.add_argument(
        "--minutes", type=float, default=3.0, help="how long they wait before the broker is emptied"
    )
    parser.add_argument(
        "--relays", type=int, default=1, help="relays alone; each worker has one of its own too"
    )
    parser.add_argument("--workers", type=int, default=2, help="the last is killed; at least 2")
    parser.add_argument(
        "--frozen", type=float, default=10.0, help="seconds between freezing that one and killing it"
    )
    parser.add_argument(
        "--patience", type=float, default=1800.0, help="seconds the backlog may take to drain"
    )
    add_options(parser, "backlog")
    options = parser.parse_args()
    if options.workers < 2:
        parser.error("one worker is killed: --workers must be 2 or more")
    return options


def run(here: Place, options: argparse.Namespace) -> Found:
    found = Found()
    for _ in range(options.relays):
        here.relay()
    workers = [here.worker("--without-mingle", "--without-gossip") for _ in range(options.workers)]
    freeze_idle(workers)
    began, before = time.monotonic(), pushes(here)
    fill(options.deliveries // RECEIVERS)
    found.filled_in = time.monotonic() - began
    while time.monotonic() - began < options.minutes * 60:
        time.sleep(0.1)
    emptied = waiting()
    found.flushed = empty_broker(here)
    began = time.monotonic()
    for worker in workers:
        worker.signal(signal.SIGCONT)
    lost = freeze_and_kill(workers[-1], options, found) - emptied
    wait_for(lambda: finished() >= options.deliveries, "every delivery", options.patience, every=0.5)
    found.drained_in = time.monotonic() - began
    count_in_hand(lost, found)
    found.published = pushes(here) - before
    found.batches = batches(by_receiver())
    return found


def freeze_idle(workers: list[Process]) -> None:
    """Stopped, and none of them holding SQLite's write lock, which would stop everything else."""
    for worker in workers:
        while True:
            worker.signal(signal.SIGSTOP)
            if is_writable():
                break
            worker.signal(signal.SIGCONT)
            time.sleep(0.1)


def is_writable() -> bool:
    from django.db import OperationalError, connection

    if connection.vendor != "sqlite":
        return True
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 200")
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")
            return True
    except OperationalError:
        return False
    finally:
        connection.close()


def fill(events: int) -> None:
    from django.db import transaction

    from benchmarks.subject.receivers import counted

    for start in range(0, events, TRANSACTION):
        with transaction.atomic():
            for number in range(start, min(start + TRANSACTION, events)):
                counted.send(number=number)


def pushes(here: Place) -> int:
    stats: dict[str, dict[str, int]] = here.broker.client().info("commandstats")  # type: ignore[assignment]
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("lpush", "rpush"))


def empty_broker(here: Place) -> int:
    """How many messages were in it at that moment."""
    pipe = here.broker.client().pipeline(transaction=True)
    for queue in QUEUES:
        pipe.llen(queue)
    pipe.flushall()
    return sum(int(count) for count in pipe.execute()[:-1])


def freeze_and_kill(worker: Process, options: argparse.Namespace, found: Found) -> set[tuple[str, str]]:
    """With a third of the backlog done. The deliveries in all messages that it had in hand at that moment."""
    from django.db.models.functions import Now

    from events.models import Worker

    wait_for(lambda: finished() > options.deliveries / 3, "a third of them", options.patience, every=0.05)
    worker.signal(signal.SIGSTOP)
    lost = in_hand() - held_by_others(worker)
    time.sleep(options.frozen)
    worker.kill()
    # By the clock that all times of deliveries are of.
    found.killed_at = Worker.objects.values_list(Now(), flat=True)[0]
    return lost


def in_hand() -> set[tuple[str, str]]:
    """(receiver, event) of the messages that workers took and have not worked off: sent, and no longer in a queue."""
    from events.models import Delivery, State

    sent = Delivery.objects.filter(state__in=[State.SENT, State.RUNNING]).values_list("receiver", "event_id")
    return {(receiver, str(event)) for receiver, event in sent} - waiting()


def waiting() -> set[tuple[str, str]]:
    """(receiver, event) of the messages in the queues."""
    from events import transport

    return {pair for queue in QUEUES for pair in transport.look(queue).ids or ()}


def held_by_others(worker: Process) -> set[tuple[str, str]]:
    """As they said last, which is a second ago at most."""
    from events.models import Worker

    number = worker.name.removeprefix("worker-")
    others = Worker.objects.exclude(pk__startswith=f"w{number}@")
    return {(receiver, event) for other in others for receiver, event in other.held}


def count_in_hand(pairs: set[tuple[str, str]], found: Found) -> None:
    from events.models import Delivery

    rows = Delivery.objects.filter(
        finished_at__gt=found.killed_at, event_id__in={event for _, event in pairs}
    )
    lost = [row for row in rows.defer("error") if (row.receiver, str(row.event_id)) in pairs]
    careful = sum(row.careful for row in lost)
    found.in_hand = len(lost)
    found.messages_for_those = careful + batches(Counter(row.receiver for row in lost if not row.careful))


def finished() -> int:
    from events.models import UNFINISHED, Delivery

    return Delivery.objects.exclude(state__in=UNFINISHED).count()


def by_receiver() -> dict[str, int]:
    from django.db.models import Count

    from events.models import Delivery

    return dict(Delivery.objects.order_by().values_list("receiver").annotate(Count("pk")))


def batches(deliveries: dict[str, int]) -> int:
    from events.registry import registry

    return sum(math.ceil(count / registry.get(name).batch) for name, count in deliveries.items())


def result(found: Found) -> dict[str, Any]:
    from django.db.models import Count

    from benchmarks.subject.models import Effect
    from events.models import Delivery, State

    repeated = Effect.objects.values("receiver", "key").annotate(times=Count("pk")).filter(times__gt=1)
    twice = {r: repeated.filter(receiver=r).count() for r in ("exactly", "at least")}
    deliveries, effects = (
        Delivery.objects.count(),
        Effect.objects.values("receiver", "key").distinct().count(),
    )
    factor = found.published / found.needed
    return {
        "deliveries": deliveries,
        "not done": Delivery.objects.exclude(state=State.DONE).count(),
        "effects missing": deliveries - effects,
        "effects run twice, atomic": twice["exactly"],
        "effects run twice, atomic=False": twice["at least"],
        "messages published": found.published,
        "messages needed": found.needed,
        "  for the deliveries, in full batches": found.batches,
        "  lost when the broker was emptied": found.flushed,
        "  lost with the killed worker": found.messages_for_those,
        "deliveries lost with the killed worker": found.in_hand,
        "published per needed (goal 1.1)": factor,
        "deliveries that came back careful": Delivery.objects.filter(careful=True).count(),
        "filled in, s": found.filled_in,
        "drained in, s": found.drained_in,
        "as it should be": factor <= 1.1 and not twice["exactly"] and deliveries == effects,
    }


if __name__ == "__main__":
    try:
        main()
    except Timeout as reason:
        raise SystemExit(f"The benchmark did not finish: {reason}") from None
