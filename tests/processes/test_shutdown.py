"""A deploy ends workers while receivers run: no try is used up, nothing is lost."""

from __future__ import annotations

import signal

import pytest

from events.models import Delivery, State, Worker
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Effect
from tests.shop.receivers import misbehave, slow

pytestmark = pytest.mark.django_db(transaction=True)


def test_warm_shutdown__finishes_what_runs_and_leaves(start_worker: Start) -> None:
    worker = start_worker()
    slow.send(seconds=2.0)
    wait_for(Delivery.objects.filter(receiver__endswith="sleep_outside", state=State.RUNNING).exists, "a run")
    assert worker.stop() == 0
    assert not Worker.objects.exists()
    assert Effect.objects.filter(receiver="sleep_outside").count() == 1


def test_cold_shutdown__the_deliveries_come_again_and_no_try_is_used(start_worker: Start) -> None:
    worker = start_worker()
    slow.send(seconds=6.0)
    wait_for(Delivery.objects.filter(receiver__endswith="sleep_outside", state=State.RUNNING).exists, "a run")
    worker.process.send_signal(signal.SIGQUIT)
    worker.process.wait(60)
    start_worker()
    wait_for(lambda: Delivery.objects.filter(state=State.DONE).count() == 2, "both deliveries")
    assert Effect.objects.filter(receiver="sleep_in_transaction").count() == 1


def test_time_limit__ends_the_delivery_and_no_other(start_worker: Start) -> None:
    worker = start_worker()
    slow.send(seconds=3600.0)
    misbehave.send(how="not at all", tag="the others")
    rows = Delivery.objects.filter(receiver__endswith="sleep_in_transaction")
    wait_for(rows.filter(state=State.DEAD).exists, "a dead letter")
    others = Delivery.objects.exclude(receiver__contains="sleep_")
    # On SQLite they wait for the write lock of the one that hangs: it uses up no try of theirs.
    wait_for(lambda: others.filter(state=State.DONE, tries=0).count() == 3, "the other deliveries")
    assert "SoftTimeLimitExceeded" in rows.get(state=State.DEAD).error
    assert worker.process.poll() is None
