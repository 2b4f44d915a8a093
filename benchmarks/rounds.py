"""Every row on every database, subject after subject in turn: what slows the machine down slows all of them."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Sample
from benchmarks.lineup import BASELINE, OURS, Subject
from benchmarks.rows.row import Row
from benchmarks.stage import Stage, Wrong, stage
from project.dev.postgres import Postgres

# As a server has it whose data must outlast a power cut; everything else is PostgreSQL's default.
SERVER = {"fsync": "on"}


@dataclass(slots=True, kw_only=True)
class Plan:
    rows: Sequence[Row]
    databases: Sequence[str]
    subjects: Sequence[Subject]
    rounds: int
    scale: float
    done: int = 0

    @property
    def steps(self) -> int:
        return sum(
            len(self.subjects_of(row, database)) * self.rounds_of(row)
            for row in self.rows
            for database in self.databases
        )

    def rounds_of(self, row: Row) -> int:
        return min(self.rounds, row.rounds)

    def tell(self, text: str) -> None:
        self.done += 1
        print(f"{time.strftime('%H:%M:%S')} {self.done:>3}/{self.steps} {text}", flush=True)

    def subjects_of(self, row: Row, database: str) -> list[Subject]:
        return [s for s in self.subjects if s.name in row.subjects and database in s.databases]


@dataclass(slots=True, kw_only=True)
class Taken:
    """One row on one database: the rounds of each subject, in order."""

    row: Row
    database: str
    samples: Mapping[str, list[Mapping[str, Sample]]] = field(default_factory=lambda: defaultdict(list))


def take(plan: Plan) -> Iterator[Taken]:
    """Each as soon as it is complete."""
    for database in plan.databases:
        with place(database) as (directory, server), ExitStack() as ending:
            stages: dict[str, Stage] = {}
            for row in plan.rows:
                for subject in plan.subjects_of(row, database):
                    if subject.name not in stages:
                        made = stage(subject, database, directory / subject.name, server)
                        stages[subject.name] = ending.enter_context(made)
                yield take_row(plan, row, database, stages)


def take_row(plan: Plan, row: Row, database: str, stages: Mapping[str, Stage]) -> Taken:
    taken = Taken(row=row, database=database)
    subjects = plan.subjects_of(row, database)
    if not subjects:
        return taken
    row.before([stages[subject.name] for subject in subjects], plan.scale)
    for number in range(plan.rounds_of(row)):
        # Each begins in turn.
        turn = number % len(subjects)
        for subject in subjects[turn:] + subjects[:turn]:
            plan.tell(f"{database}, {row.name}, round {number + 1}: {subject.name}")
            taken.samples[subject.name] += measured(row, stages[subject.name], plan.scale)
    return taken


def measured(row: Row, stage: Stage, scale: float) -> list[Mapping[str, Sample]]:
    """One round. A peer that loses or repeats deliveries has none to show; ours and the baseline end the run."""
    try:
        return [row.measure(stage, scale)]
    except Wrong as reason:
        if stage.subject in (OURS, BASELINE):
            raise
        print(f"LEFT OUT: {reason}", flush=True)
        return []


@contextmanager
def place(database: str) -> Iterator[tuple[Path, Postgres | None]]:
    """A directory that is gone at the end, and a server where there has to be one."""
    with ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        # PostgreSQL may run as a user of its own.
        directory.chmod(0o755)
        if database == "sqlite":
            yield directory, None
            return
        server = Postgres(directory / "server", settings=SERVER)
        server.start()
        ending.callback(server.stop)
        yield directory, server
