"""Who is compared: each with settings of its own, and the processes that run its receivers."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The peers' packages never meet the project's.
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
DATABASES = ("sqlite", "postgresql")

_CELERY = (
    "-m",
    "celery",
    "-A",
    "project",
    "worker",
    "-Q",
    "default",
    "--without-mingle",
    "--without-gossip",
    "-l",
    "INFO",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Arguments of Python, and the word in its output that says it has begun."""

    arguments: tuple[str, ...]
    ready: str


CELERY = Process(arguments=_CELERY, ready="ready.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    name: str
    title: str
    # All of them together are "one worker": one process that runs receivers, and what feeds it.
    processes: tuple[Process, ...] = (CELERY,)
    databases: tuple[str, ...] = DATABASES
    python: Path = Path(sys.executable)
    # Packages whose versions are told.
    packages: tuple[str, ...] = ()
    # Deliveries a second that it can do at least, which is how long to wait; and about, on either database.
    rates: dict[str, float] = field(default_factory=lambda: {"sqlite": 300.0, "postgresql": 150.0})

    @property
    def settings(self) -> str:
        return f"benchmarks.subjects.settings.{self.name}"


OURS = Subject(name="ours", title="this project", rates={"sqlite": 5000.0, "postgresql": 5000.0})
BASELINE = Subject(name="baseline", title="Celery `delay_on_commit(pk)`")
SYNCHRONOUS = Subject(name="synchronous", title="receivers in the request", processes=())

SUBJECTS = {subject.name: subject for subject in (OURS, BASELINE, SYNCHRONOUS)}
