"""A worker with a backlog of receivers that take long lets others write to SQLite."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from events.fast_path import fast_path
from events.models import Delivery, State
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Effect
from tests.shop.receivers import slow

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="elsewhere writers lock rows")

# Seconds of one run, in its transaction; and how many of them wait.
RUN, RUNS = 0.1, 120


@pytest.mark.parametrize("processes", ["1", "2"])
def test_backlog_of_long_runs__lets_a_save_elsewhere_through(start_worker: Start, processes: str) -> None:
    with fast_path.suspended(), transaction.atomic():
        for _ in range(RUNS):
            slow.send(sender=None, seconds=RUN)
    worker = start_worker("-c", processes, "-Q", "default")
    wait_for(lambda: _done() > 2, "the backlog to drain", log=worker.log)
    for number in range(3):
        # In a transaction, as a request's: it asks for the lock by SQLite's own rule.
        with transaction.atomic():
            Effect.objects.create(receiver="a save", key=f"{number}")
    assert _done() < RUNS, "it waited for the end of the backlog"


def _done() -> int:
    return Delivery.objects.filter(queue="default", state=State.DONE).count()
