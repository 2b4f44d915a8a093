"""Bytes in the broker for each delivery, against the same data as arguments of a Celery task."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from benchmarks.figures import BASELINE, Figure, Goal, Sample
from benchmarks.ledger import RECEIVERS
from benchmarks.place import wait_for
from benchmarks.rows.row import Row
from benchmarks.stage import Stage

BULK = 1000
# With four messages each, fewer than the window from which on they would be the relay's.
SINGLE = 12
SETTLED = 0.5


def weighing(stage: Stage, scale: float) -> Mapping[str, Sample]:
    return {"bulk": Sample(_weight(stage, BULK, "bulk")), "single": Sample(_weight(stage, SINGLE, "save"))}


def _weight(stage: Stage, events: int, how: str) -> float:
    stage.clear()
    if stage.subject.name == BASELINE:
        # Once for each of the receivers, as the others are.
        stage.ask("call_with_data", count=events * RECEIVERS)
    else:
        # It may still believe a queue long that is gone, and then publishes nothing.
        wait_for(lambda: stage.ask("save", model="Item", count=1) and _messages(stage), "a message", 30)
        stage.clear()
        stage.ask(how, model="Item", count=events)
    wait_for(lambda: _deliveries(stage) and _is_published(stage), "all messages in the broker", 30)
    return sum(map(len, _messages(stage))) / _deliveries(stage)


def _is_published(stage: Stage) -> bool:
    """Nothing more comes: of a transaction that is large, the bus leaves a part to the relay."""
    before = _deliveries(stage)
    time.sleep(SETTLED)
    return _deliveries(stage) == before


def _messages(stage: Stage) -> list[bytes]:
    found: list[bytes] = stage.broker.client().lrange("default", 0, -1)  # type: ignore[assignment]
    return found


def _deliveries(stage: Stage) -> int:
    headers = [json.loads(message)["headers"] for message in _messages(stage)]
    return sum(len(header["events"]["ids"]) if "events" in header else 1 for header in headers)


ROWS = (
    Row(
        name="bytes",
        title="bytes in the broker for each delivery",
        measure=weighing,
        figures=(
            Figure(
                name="bulk", title="1,000 saves in a transaction", unit="bytes", goals={"": Goal(at_most=0.5)}
            ),
            Figure(name="single", title="single saves", unit="bytes", goals={"": Goal(at_most=1.0)}),
        ),
        rounds=1,
    ),
)
