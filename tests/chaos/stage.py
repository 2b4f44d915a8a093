"""Everything that runs during a chaos run, and how to reach it."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from django.db.models import Q

from tests.chaos.broker import ChaosBroker
from tests.chaos.database import ChaosDatabase
from tests.chaos.fleet import ROOT, Fleet, Member, python, wait_until
from tests.chaos.load import Load, Web
from tests.chaos.options import Options
from tests.faults.proxy import Proxy

T = TypeVar("T")

# Seconds for the harness's own question to a database that is being broken.
_PATIENCE = 60.0
# Seconds for which a relay has the meter after it was given to it.
_METERING = 30
# Seconds for a process that was killed to be there again.
_REPLACED = 20.0


@dataclass(kw_only=True)
class Stage:
    directory: Path
    database: ChaosDatabase
    broker: ChaosBroker
    proxy: Proxy
    fleet: Fleet
    load: Load
    say: Callable[[str], None]
    # Crashpoints that nobody came by, and faults that had no effect.
    missed: list[str] = field(default_factory=list)
    # When this round began, and how many events of the rounds before it were pruned since the run began.
    since: datetime | None = None
    pruned: int = 0
    _crashes: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def workers(self) -> list[Member]:
        return self.fleet.of("worker")

    @property
    def relays(self) -> list[Member]:
        return self.fleet.of("relay")

    def crash_file(self, name: str) -> Path:
        return self.directory / f"died-at-{name}-{next(self._crashes)}"

    def wait_whole(self) -> None:
        """Until nobody is missing."""
        wait_until(lambda: all(member.is_alive() for member in self.fleet.members), _REPLACED)

    def feed_with(self, relay: Member) -> None:
        """Take the queues from all other relays: it is this one's turn, sooner or later. And then the meter."""
        from events.clock import after
        from events.models import Meter, Queue

        name = f"{socket.gethostname()}:{relay.pid}"
        its = Q(lease_owner=name) | Q(lease_owner__startswith=f"{name}#")
        patiently(lambda: Queue.objects.exclude(its).update(lease_until=None))
        owner = patiently(lambda: Queue.objects.filter(its).values_list("lease_owner", flat=True).first())
        if owner:
            patiently(lambda: Meter.objects.update(lease_owner=owner, lease_until=after(_METERING)))

    def prune(self, env: Mapping[str, str]) -> None:
        """Prune what was finished before this round, as a relay does."""
        from events.models import EventRecord

        since = self.since
        assert since is not None
        before = EventRecord.objects.filter(emitted_at__lt=since)
        there = patiently(before.count)
        with (self.directory / "prune.log").open("ab") as log:
            subprocess.run(
                python("-m", "tests.chaos.prune", since.isoformat()),
                env={**os.environ, **env},
                cwd=ROOT,
                stdout=log,
                stderr=log,
                check=False,
            )
        self.pruned += there - patiently(before.count)


def patiently(question: Callable[[], T]) -> T:
    """The answer of a database that may be away for a moment. Raises what it raises when that lasts."""
    from django.db import DatabaseError, InterfaceError, connection

    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return question()
        except (DatabaseError, InterfaceError):
            connection.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def enlist(fleet: Fleet, load: Load, options: Options, directory: Path) -> None:
    """Start all processes under test."""
    env = {"PYTHONUNBUFFERED": "1", "CHAOS_SEED": options.seed, "CHAOS_DIR": str(directory)}
    env |= {"CHAOS_PACE": str(options.pace)}
    env |= {"PYTHONPATH": os.pathsep.join(_paths())}
    for number in range(options.workers):
        worker = _worker(number)
        fleet.add(Member(f"worker-{number}", worker, env, directory / f"worker-{number}.log"))
    relay = python("manage.py", "events", "relay")
    fleet.add(Member("relay", relay, env, directory / "relay.log"))
    for number in range(options.webs):
        fleet.add(Web(number, env, directory / f"web-{number}.log", load))


def _paths() -> Sequence[str]:
    return [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]


def _worker(number: int) -> list[str]:
    queues = "default,audit,emails"
    options = ["-n", f"chaos{number}@%h", "-c", "2", "-Q", queues, "-l", "INFO"]
    return python("-m", "celery", "-A", "project", "worker", *options)
