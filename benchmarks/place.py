"""Where a benchmark runs: a database and a broker of its own, and the bus's real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from project.dev.broker import Broker, start_broker

ROOT = Path(__file__).resolve().parents[1]
QUEUES = "default,audit"
# Seconds from SIGTERM to SIGKILL.
ENDS_WITHIN = 30.0


class BenchmarkError(Exception):
    """It can't go on. The message is for the person at the terminal."""


class Timeout(BenchmarkError):
    """What it waited for did not come about."""


def wait_for(condition: Callable[[], object], what: str, seconds: float, every: float = 0.1) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Timeout(f"waited {seconds:g} s for: {what}")
        time.sleep(every)


@dataclass(slots=True)
class Process:
    """With the pool it makes, in a process group of its own."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            os.killpg(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass(slots=True)
class Place:
    directory: Path
    broker: Broker
    database_url: str
    started: list[Process] = field(default_factory=list)

    def worker(self, *options: str, **environment: str) -> Process:
        """Returns when it beats: from then on the relay feeds it."""
        from events.models import Worker

        before = Worker.objects.count()
        arguments = [
            "-m",
            "celery",
            "-A",
            "project",
            "worker",
            "-n",
            f"w{len(self.started)}@%h",
            "-Q",
            QUEUES,
        ]
        worker = self._start("worker", [*arguments, *options], environment)
        self._wait(worker, lambda: Worker.objects.count() > before)
        return worker

    def relay(self, **environment: str) -> Process:
        relay = self._start("relay", ["manage.py", "events", "relay"], environment)
        self._wait(relay, lambda: "relay" in relay.log.read_text())
        return relay

    def _start(self, kind: str, arguments: list[str], environment: dict[str, str]) -> Process:
        name = f"{kind}-{len(self.started)}"
        log = self.directory / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=os.environ | self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(Process(name, process, log))
        return self.started[-1]

    @staticmethod
    def _wait(process: Process, condition: Callable[[], object]) -> None:
        try:
            wait_for(condition, f"{process.name} to start", 120)
        except Timeout as error:
            raise BenchmarkError(f"{error}; its log ends with:\n{process.log.read_text()[-3000:]}") from None

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.broker.url, "PYTHONUNBUFFERED": "1"}

    def end(self) -> None:
        for process in reversed(self.started):
            # One that was frozen would not hear it.
            process.signal(signal.SIGCONT)
            process.stop()


@contextmanager
def place() -> Iterator[Place]:
    """Sets Django up for this process. All that it makes is gone at the end."""
    with ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="library benchmark ")))
        broker = ending.enter_context(
            start_broker(directory / "broker", environ={"PATH": os.environ["PATH"]})
        )
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "DEBUG": "off",
            "SECRET_KEY": "a-key-for-benchmarks-that-is-long-enough-for-the-deployment-check",
            "VAR_DIR": str(directory),
            "REDIS_URL": broker.url,
            "BROKER_URL": "",
            "EMAIL_URL": "consolemail://",
            "LOG_LEVEL": "WARNING",
        }
        ending.callback(_database())
        here = Place(directory=directory, broker=broker, database_url=_database_url())
        # First of all to end: the processes that use the others.
        ending.callback(here.end)
        yield here


def _database() -> Callable[[], None]:
    """Makes it, and returns what removes it."""
    import django

    django.setup()
    from django.db import connection

    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    return lambda: connection.creation.destroy_test_db(name, verbosity=0)


def _database_url() -> str:
    from django.db import connection

    of: dict[str, Any] = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{of['NAME']}"
    login = f"{quote(of['USER'])}:{quote(of['PASSWORD'])}@" if of["USER"] else ""
    port = f":{of['PORT']}" if of["PORT"] else ""
    scheme = {"postgresql": "postgres"}.get(connection.vendor, connection.vendor)
    return f"{scheme}://{login}{quote(of['HOST'], safe='')}{port}/{of['NAME']}"
