"""Who is compared: each with settings of its own, and the processes that run its receivers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The peers' packages never meet the project's.
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
DATABASES = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Arguments of Python, and the word in its output that says it has begun."""

    arguments: tuple[str, ...]
    ready: str


def celery(app: str) -> Process:
    options = ("-Q", "default", "--without-mingle", "--without-gossip", "-l", "INFO")
    return Process(arguments=("-m", "celery", "-A", app, "worker", *options), ready="ready.")


def django(*command: str, ready: str = "") -> Process:
    return Process(arguments=("-m", "django", *command), ready=ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    name: str
    title: str
    # All of them together are "one worker": one process that runs receivers, and what feeds it.
    processes: tuple[Process, ...] = (celery("project"),)
    databases: tuple[str, ...] = DATABASES
    python: Path = Path(sys.executable)
    # The package whose version is told.
    package: str = "celery"
    # Deliveries a second, about, by database: how large its backlogs are made.
    rates: Mapping[str, float] = field(default_factory=lambda: {"sqlite": 350.0, "postgresql": 150.0})

    @property
    def settings(self) -> str:
        return f"benchmarks.subjects.settings.{self.name}"


OURS = Subject(name="ours", title="this project", rates={"sqlite": 5000.0, "postgresql": 5000.0})
BASELINE = Subject(name="baseline", title="plain Celery")
SYNCHRONOUS = Subject(name="synchronous", title="receivers in the request", processes=(), package="django")
OUTBOX = Subject(
    name="outbox",
    title="django-celery-outbox",
    processes=(
        celery("benchmarks.subjects.outbox_celery"),
        django("celery_outbox_relay"),
    ),
    databases=("postgresql",),  # its relay needs SKIP LOCKED
    python=PEERS_PYTHON,
    package="django-celery-outbox",
)
PROCRASTINATE = Subject(
    name="procrastinate",
    title="procrastinate",
    processes=(django("procrastinate", "worker", "--concurrency", "1", ready="Starting worker"),),
    databases=("postgresql",),
    python=PEERS_PYTHON,
    package="procrastinate",
    rates={"postgresql": 300.0},
)
PGPUBSUB = Subject(
    name="pgpubsub",
    title="django-pgpubsub",
    processes=(django("listen", "--worker", "--recover", "--loglevel", "warning", ready="Listening on"),),
    databases=("postgresql",),
    python=PEERS_PYTHON,
    package="django-pgpubsub",
    rates={"postgresql": 3000.0},
)

SUBJECTS = {
    subject.name: subject for subject in (OURS, BASELINE, SYNCHRONOUS, OUTBOX, PROCRASTINATE, PGPUBSUB)
}
