"""Real workers, on the test's own database and broker."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection

from events import transport
from events.fast_path import fast_path
from events.models import Worker
from project.dev.broker import Broker
from tests import brokers

# Seconds after which waiting has failed. It decides nothing else.
PATIENCE = int(os.environ.get("TEST_PATIENCE", "120"))
ROOT = Path(__file__).resolve().parents[2]


def wait_for(
    condition: Callable[[], object], what: str, seconds: float = PATIENCE, log: Path | None = None
) -> None:
    """Until the condition holds; fails, saying what it waited for."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            shown = f"\n{log.read_text()[-5000:]}" if log else ""
            pytest.fail(f"waited {seconds} s for: {what}{shown}")
        time.sleep(0.05)


class Process:
    """A program of ours in a session of its own; its output goes to a file that a failure shows."""

    def __init__(self, env: dict[str, str], log: Path, *command: str) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                env=env,
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> int:
        """Warm: what runs is finished."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def signal_all(self, number: signal.Signals) -> None:
        """To the parent and its pool at once."""
        if self.process.poll() is None:
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """Like a machine that loses power."""
        self.signal_all(signal.SIGKILL)
        self._ended()

    def _ended(self) -> int:
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.signal_all(signal.SIGKILL)
            return self.process.wait()


class WorkerProcess(Process):
    """`celery worker` with what a test asks for."""

    def __init__(self, env: dict[str, str], log: Path, *options: str) -> None:
        super().__init__(env, log, "-m", "celery", "-A", "project", "worker", *options)


def freeze(worker: WorkerProcess) -> None:
    """With its pool. Not while it has SQLite's one lock: nobody could write until it goes on."""
    while True:
        worker.signal_all(signal.SIGSTOP)
        if _others_may_write():
            return
        worker.signal_all(signal.SIGCONT)
        time.sleep(0.05)


def _others_may_write() -> bool:
    if connection.vendor != "sqlite":
        return True
    path = str(connection.settings_dict["NAME"])
    with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


Start = Callable[..., WorkerProcess]
StartRelay = Callable[..., Process]


@pytest.fixture
def start_worker(process_env: dict[str, str], broker: Broker, tmp_path: Path) -> Iterator[Start]:
    """`start_worker(*options, **environment)`: returns when the worker beats. All are stopped at the end."""
    started: list[WorkerProcess] = []

    def start(*options: str, wait: bool = True, **environment: str) -> WorkerProcess:
        before = Worker.objects.count()
        log = tmp_path / f"worker-{len(started)}.log"
        defaults = ("-n", f"w{len(started)}@%h", "-c", "2", "-Q", "default,audit", "-l", "INFO")
        worker = WorkerProcess(process_env | environment, log, *defaults, *options)
        started.append(worker)
        if wait:
            wait_for(lambda: Worker.objects.count() > before, "a sign of life", log=log)
        return worker

    yield start
    for worker in started:
        worker.kill()
    connection.close()


@pytest.fixture
def start_relay(process_env: dict[str, str], broker: Broker, tmp_path: Path) -> Iterator[StartRelay]:
    """`start_relay(**environment)`: `manage.py events relay`; returns when it runs. All are ended at the end."""
    started: list[Process] = []

    def start(**environment: str) -> Process:
        log = tmp_path / f"relay-{len(started)}.log"
        relay = Process(process_env | environment, log, "manage.py", "events", "relay")
        started.append(relay)
        wait_for(lambda: "The relay runs" in log.read_text(), "a relay", log=log)
        return relay

    yield start
    for relay in started:
        relay.kill()
    connection.close()


@pytest.fixture(autouse=True)
def clean_broker(broker: Broker) -> None:
    # An earlier test may have ended the broker: what is pooled leads to one that isn't there any more.
    transport.reset()
    brokers.empty(broker)
    # What an earlier test's backlog taught this process about its queues.
    fast_path.depths.forget()
    wait_for(fast_path.breaker.is_closed, "the breaker to close")
