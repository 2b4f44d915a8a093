"""A deploy ends workers while receivers run: no try is used up, nothing is lost, nothing happens twice."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from events.clock import LOOK_AFTER
from events.models import Delivery, State, Worker
from events.relay.looking import LOOK_TWICE
from events.timing import GRACE
from tests.processes.conftest import PATIENCE, Start, WorkerProcess, wait_for
from tests.shop.models import Effect
from tests.shop.poisons import wait
from tests.shop.receivers import misbehave, slow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

# Seconds until the relay sends again what was in a message that is gone: it was published, then looked for twice.
LOOKED_FOR = 2 * LOOK_AFTER + LOOK_TWICE
KINDS = ("wait_in_transaction", "wait_outside", "wait_many", "die_once_and_wait")


class Gate:
    """Receivers wait at it, so that a test decides what happens while they run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def has_begun(self) -> bool:
        return (self.directory / "begun").exists()

    def open(self) -> None:
        (self.directory / "open").touch()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def emit(kind: str, gate: Gate) -> None:
    """For one receiver alone: on SQLite the others would wait for the write lock of one that waits."""
    wait.send(gate=str(gate.directory), kind=kind)


def assert_done_once(kind: str, worker: WorkerProcess) -> None:
    rows = Delivery.objects.filter(receiver__endswith=f".{kind}")
    wait_for(
        rows.filter(state=State.DONE).exists, f"{kind} to be done", LOOKED_FOR + PATIENCE, log=worker.log
    )
    # The one that had ended its process before counts each run before it begins: the run that it finished.
    assert rows.get().tries == (1 if kind == "die_once_and_wait" else 0)
    assert Effect.objects.filter(receiver=kind).count() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_warm_shutdown__finishes_what_runs_and_leaves(start_worker: Start, gate: Gate, kind: str) -> None:
    worker = start_worker()
    emit(kind, gate)
    wait_for(gate.has_begun, "a run", log=worker.log)
    worker.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "Warm shutdown" in worker.log.read_text(), "the shutdown to begin", log=worker.log)
    gate.open()
    assert worker.process.wait(PATIENCE) == 0
    assert not Worker.objects.exists()
    assert_done_once(kind, worker)


@pytest.mark.parametrize("kind", KINDS)
def test_soft_shutdown__what_does_not_finish_in_time_comes_again(
    start_worker: Start, gate: Gate, kind: str
) -> None:
    assert_comes_again(start_worker(".soft_shutdown_timeout=1"), start_worker, gate, kind, signal.SIGQUIT)


@pytest.mark.parametrize("kind", KINDS)
def test_second_signal__ends_it_at_once_and_what_ran_comes_again(
    start_worker: Start, gate: Gate, kind: str
) -> None:
    worker = start_worker()
    assert_comes_again(worker, start_worker, gate, kind, signal.SIGTERM, signal.SIGQUIT, signal.SIGQUIT)


def assert_comes_again(
    worker: WorkerProcess, start_worker: Start, gate: Gate, kind: str, *signals: signal.Signals
) -> None:
    emit(kind, gate)
    wait_for(gate.has_begun, "a run", log=worker.log)
    for number in signals:
        worker.process.send_signal(number)
        # A signal that comes while another of its kind is being handled is none.
        wait_for(lambda: "hutdown" in worker.log.read_text(), "the shutdown to begin", log=worker.log)
    try:
        worker.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pytest.fail(f"it did not end:\n{worker.log.read_text()[-5000:]}")
    assert not Effect.objects.filter(receiver=kind).exists()
    gate.open()
    assert_done_once(kind, start_worker())


# Seconds of one event: see tests.shop.receivers.
TIME_LIMIT = 8


def test_time_limit__ends_the_delivery_and_no_other(start_worker: Start) -> None:
    worker = start_worker()
    slow.send(seconds=3600.0)
    misbehave.send(how="not at all", tag="the others")
    rows = Delivery.objects.filter(receiver__contains="sleep_", state=State.DEAD)
    # On SQLite either waits for the other's write lock. One whose time goes by so has not begun, and comes again;
    # one whose process has to be ended is run once more, for its tries are counted from then on.
    wait_for(
        lambda: rows.count() == 2,
        "two dead letters",
        2 * (TIME_LIMIT + GRACE) + LOOKED_FOR + PATIENCE,
        worker.log,
    )
    others = Delivery.objects.exclude(receiver__contains="sleep_")
    # They wait for it too: it uses up no try of theirs.
    wait_for(
        lambda: others.filter(state=State.DONE, tries=0).count() == 3,
        "the other deliveries",
        LOOKED_FOR + PATIENCE,
        worker.log,
    )
    assert "SoftTimeLimitExceeded" in rows.get(receiver__endswith="sleep_in_transaction").error
    assert worker.process.poll() is None
