"""One subject on one database, with a broker of its own: its agent, its worker, and what they did."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.cpu import used_by
from benchmarks.ledger import RECEIVERS, Ledger
from benchmarks.lineup import ROOT, Subject
from benchmarks.place import BenchmarkError, Process, wait_for
from project.dev.broker import Broker, start_broker
from project.dev.postgres import Postgres

# Seconds in which not one delivery more is done: then none will be.
PATIENCE = 60.0
# Seconds for a worker to write down what it began last, before its CPU time is read.
ENDS_WITHIN = 0.3


class Wrong(BenchmarkError):
    """Deliveries are missing, or some were made twice: what was measured is worth nothing."""


@dataclass(slots=True)
class Stage:
    subject: Subject
    database: str
    directory: Path
    environment: dict[str, str]
    broker: Broker
    ledger: Ledger
    server: Postgres | None
    agent: subprocess.Popen[str]
    running: list[Process] = field(default_factory=list)
    patience: float = PATIENCE
    # Deliveries a second at which a row has saves arrive.
    arrivals: float = 0.0

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have the agent do it."""
        assert self.agent.stdin  # noqa: S101 -- both are pipes
        assert self.agent.stdout  # noqa: S101
        self.agent.stdin.write(json.dumps({"do": do} | arguments) + "\n")
        self.agent.stdin.flush()
        answer = self.agent.stdout.readline()
        if not answer:
            log = (self.directory / "agent.log").read_text()
            raise BenchmarkError(f"The agent of {self.subject.name} ended; its log ends with:\n{log[-3000:]}")
        return json.loads(answer)

    def clear(self) -> None:
        """As on the first day, but for what processes know."""
        self.ask("clear")
        self.broker.client().flushall()
        self.ledger.clear()

    def unpark(self) -> None:
        """What was put aside is in the queue again, in the order in which it came."""
        client = self.broker.client()
        for key in sorted(client.keys("parked:*")):  # type: ignore[type-var]
            for message in reversed(client.lrange(key, 0, -1)):  # type: ignore[arg-type]
                client.lpush("default", message)
            client.delete(key)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """From when it is ready to when it has ended."""
        first = len(self.running)
        try:
            for number, each in enumerate(self.subject.processes):
                self.running.append(self._start(f"worker-{number}", each.arguments))
            for process, each in zip(self.running[first:], self.subject.processes, strict=True):
                _wait_for_word(process, each.ready)
            yield
        finally:
            for process in reversed(self.running[first:]):
                process.stop()
            del self.running[first:]

    def _start(self, name: str, arguments: tuple[str, ...]) -> Process:
        log = self.directory / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [self.subject.python, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Process(name, process, log)

    def wait(self, events: int) -> None:
        """Until each of its receivers has begun each of them."""
        wanted, done, since = events * RECEIVERS, -1, time.monotonic()
        while (now := self.ledger.done()) < wanted:
            if now != done:
                done, since = now, time.monotonic()
            elif time.monotonic() - since > self.patience:
                self.fail(f"{wanted - now} of {wanted} deliveries did not come")
            time.sleep(0.01)

    def check(self, events: int) -> None:
        """All deliveries were made, once each, and are recorded. Raises `Wrong`."""
        wanted = events * RECEIVERS
        try:
            wait_for(lambda: self.ask("recorded") == wanted, "", self.patience)
        except BenchmarkError:
            self.fail(f"{self.ask('recorded')} of {wanted} deliveries are recorded as done")
        count = self.ledger.count(wanted)
        if count.missing or count.repeated:
            self.fail(f"of {wanted} deliveries {count.missing} are missing, {count.repeated} repeated")

    def check_published(self, events: int) -> None:
        """The same of messages that nobody has taken: so many, each for another receiver or row."""
        client = self.broker.client()
        found = [m for key in [*client.keys("parked:*"), b"default"] for m in client.lrange(key, 0, -1)]  # type: ignore[union-attr]
        different = {(m["headers"]["task"], m["headers"]["argsrepr"]) for m in map(json.loads, found)}
        if not len(found) == len(different) == events * RECEIVERS:
            self.fail(f"{len(found)} messages, {len(different)} of them different, for {events} events")

    def fail(self, reason: str) -> NoReturn:
        raise Wrong(f"{self}: {reason}")

    def cpu(self) -> dict[str, float]:
        """Seconds used so far, by whom."""
        server = self.server.pid if self.server else None
        return {
            "python": used_by([self.agent.pid, *(process.pid for process in self.running)]),
            "broker": used_by([self.broker.pid] if self.broker.pid else []),
            "database": used_by([server] if server else []),
        }

    def __str__(self) -> str:
        return f"{self.subject.name} on {self.database}"


def _wait_for_word(process: Process, word: str) -> None:
    def said() -> bool:
        if process.process.poll() is not None:
            raise BenchmarkError(f"{process.name} ended:\n{process.log.read_text()[-3000:]}")
        return word in process.log.read_text()

    wait_for(said, f"{process.name} to say {word!r}; see {process.log}", 60, every=0.05)


@contextmanager
def stage(subject: Subject, database: str, directory: Path, server: Postgres | None) -> Iterator[Stage]:
    """All that it makes is gone at the end, but for what is in `directory`."""
    with ExitStack() as ending:
        directory.mkdir(parents=True)
        broker = ending.enter_context(
            start_broker(directory / "broker", environ={"PATH": os.environ["PATH"]})
        )
        if server:
            server.execute(f"CREATE DATABASE {subject.name}")
        url = server.url(subject.name) if server else f"sqlite:///{directory / 'db.sqlite3'}"
        ledger = Ledger.create(directory / "ledger")
        environment = _environment(subject, directory, broker, url)
        made = Stage(
            subject=subject,
            database=database,
            directory=directory,
            environment=environment,
            broker=broker,
            ledger=ledger,
            server=server,
            agent=ending.enter_context(_agent(subject, directory, environment)),
        )
        made.ask("prepare")
        yield made


def _environment(subject: Subject, directory: Path, broker: Broker, url: str) -> dict[str, str]:
    return os.environ | {
        "BENCHMARK_LEDGER": str(directory / "ledger"),
        "DATABASE_URL": url,
        "DEBUG": "off",
        "DJANGO_SETTINGS_MODULE": subject.settings,
        "EMAIL_URL": "consolemail://",
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": broker.url,
        "BROKER_URL": "",
        "SECRET_KEY": "a-key-for-benchmarks-that-is-long-enough-for-the-deployment-check",
        "VAR_DIR": str(directory),
        "WORKER_CONCURRENCY": "1",
    }


@contextmanager
def _agent(subject: Subject, directory: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with (directory / "agent.log").open("wb") as log:
        agent = subprocess.Popen(
            [subject.python, "-m", "benchmarks.agent"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # Ctrl-C is for us.
            start_new_session=True,
        )
    with agent:
        try:
            yield agent
        finally:
            agent.terminate()
