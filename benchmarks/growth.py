"""Cost per event behind a short backlog and a long one: what the relay and a worker do, a batch at a time, with so
many unfinished rows in the tables. Nothing may grow with them. (`make bench` asks what they cost others: there, they
wait for another queue.)"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.place import place
from benchmarks.report import add_options, machine, tell
from benchmarks.subjects.unfinished import SETTLED

# Batches, of which the fastest counts: what the machine did besides is left out.
TIMES = 15
# Events materialised in one batch, and deliveries in one message.
EVENTS, DELIVERIES = 500, 100
QUEUE = "default"
NAMES = tuple(
    f"benchmarks.subject.receivers.{name}" for name in ("rest_0", "rest_1", "rest_2", "count_exactly")
)


def main() -> None:
    options = arguments()
    with place():
        rows: dict[str, Any] = {}
        # Not counted: whatever is compiled or imported at the first time.
        measured(min(options.rows))
        for unfinished in sorted(options.rows):
            rows |= measured(unfinished)
        tell("growth", ratios(rows, sorted(options.rows)) | machine(), vars(options))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.growth", description=__doc__.split(":", 1)[0])
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[1_000, 1_000_000], help="unfinished rows of each kind"
    )
    add_options(parser, "growth")
    return parser.parse_args()


def measured(rows: int) -> dict[str, Any]:
    empty_tables()
    # Room for what the measurements themselves take away.
    fill(max(rows, TIMES * EVENTS), max(rows, TIMES * DELIVERIES * len(NAMES)))
    found = {name: once(step) for name, step in STEPS.items()}
    return {f"{name}, µs, {rows:,} unfinished": us for name, us in found.items()}


def once(step: Callable[[], tuple[float, int]]) -> float:
    """Microseconds for each event."""
    return min(seconds / max(number, 1) * 1e6 for seconds, number in (step() for _ in range(TIMES)))


def timed(action: Callable[[], int]) -> tuple[float, int]:
    began = time.perf_counter()
    number = action()
    return time.perf_counter() - began, number


def emit() -> tuple[float, int]:
    from django.db import transaction

    from benchmarks.subject.receivers import idle

    def save() -> int:
        with transaction.atomic():
            for _ in range(10):
                idle.send(number=1)
        return 10

    return timed(save)


def materialised() -> tuple[float, int]:
    from events.relay.materialising import materialise

    return timed(lambda: materialise("default", frozenset()))


def idle_round() -> tuple[float, int]:
    """What a round asks whether or not there is room in the broker's window."""
    from events.relay.looking import examine
    from events.relay.rounds import _queues

    def ask() -> int:
        _queues("default")
        examine("default", QUEUE, frozenset(), frozenset())
        return 1

    return timed(ask)


def fed() -> tuple[float, int]:
    from events.relay.feeding import feed

    return timed(lambda: feed("default", QUEUE, len(NAMES), frozenset(NAMES), _taken.extend) * DELIVERIES)


def completed() -> tuple[float, int]:
    from events.delivery.consuming import consume

    message = next(m for m in _taken if "count" not in m.receiver)
    _taken.remove(message)
    return timed(lambda: consume(message).done)


_taken: list[Any] = []
STEPS: dict[str, Callable[[], tuple[float, int]]] = {
    "emit": emit,
    "a round that does nothing": idle_round,
    "materialise": materialised,
    "feed": fed,
    "complete": completed,
}


def empty_tables() -> None:
    from django.db import connection

    _taken.clear()
    word = "DELETE FROM" if connection.vendor == "sqlite" else "TRUNCATE"
    with connection.cursor() as cursor:
        for table in ("offload_delivery", "offload_event"):
            cursor.execute(f"{word} {table}")


def fill(events: int, deliveries: int) -> None:
    """Inside the database: events that are due, and deliveries of others that wait, a quarter for each receiver."""
    from django.db import connection

    sqlite = connection.vendor == "sqlite"
    numbers = _NUMBERS[connection.vendor]
    key = "printf('%%032x', n + %s)" if sqlite else "lpad(to_hex(n + %s), 32, '0')::uuid"
    now = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')" if sqlite else "now()"
    turns = " ".join(f"WHEN n * {len(NAMES)} / %s = {i} THEN '{name}'" for i, name in enumerate(NAMES))
    # Names of our own throughout.
    event = (
        f"INSERT INTO offload_event ({_EVENT}) {numbers} SELECT {key}, 'benchmark.idle', '', {key}, "  # noqa: S608
        f"%s, '[]', %s, {now}, %s FROM numbers"
    )
    delivery = (
        f"INSERT INTO offload_delivery ({_DELIVERY}) {numbers} SELECT {key}, CASE {turns} END, "  # noqa: S608
        f"'{QUEUE}', 'waiting', 0, 0, {now}, '', FALSE, '', '' FROM numbers"
    )
    listed = "{" + ", ".join(f'"{name}": "{QUEUE}"' for name in NAMES) + "}"
    envelope = _envelope()
    with connection.cursor() as cursor:
        due = _ago(cursor, sqlite)
        cursor.execute(event, [deliveries, 0, 0, listed, envelope, None])
        cursor.execute(event, [events, deliveries, deliveries, listed, envelope, due])
        cursor.execute(delivery, [deliveries, 0, *([deliveries] * len(NAMES))])
        # What filling them left to be done is none of what is measured.
        for statement in SETTLED[connection.vendor]:
            cursor.execute(statement)


_EVENT = "id, type, subject, correlation_id, receivers, published, envelope, emitted_at, next_at"
_DELIVERY = "event_id, receiver, queue, state, tries, attempt, next_at, worker, careful, reason, error"
_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s - 1)",
    "postgresql": "WITH numbers AS (SELECT generate_series(0, %s - 1) AS n)",
}


def _ago(cursor: Any, sqlite: bool) -> Any:
    word = "strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 minute')" if sqlite else "now() - interval '1 minute'"
    cursor.execute(f"SELECT {word}")
    return cursor.fetchone()[0]


def _envelope() -> str:
    from benchmarks.subject.receivers import idle
    from events.testing import captured_events

    with captured_events() as events:
        idle.send(number=1)
    return str(events[0].emission.envelope)


def ratios(rows: dict[str, Any], sizes: Sequence[int]) -> dict[str, Any]:
    first, last = sizes[0], sizes[-1]
    times = {
        f"{name}, times (goal 1.2)": rows[f"{name}, µs, {last:,} unfinished"]
        / rows[f"{name}, µs, {first:,} unfinished"]
        for name in STEPS
    }
    return rows | times


if __name__ == "__main__":
    main()
