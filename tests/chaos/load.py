"""The web processes, from the harness's side: set going, paused, and counted."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.chaos.fleet import Fleet, Member, python, wait_until

# Seconds for every web process to end its transaction: it may wait for SQLite's lock, or for a database that is back.
_PAUSE = 60.0


class Web(Member):
    """Told what to do through its standard input; says what it did on its standard output."""

    def __init__(self, number: int, env: Mapping[str, str], log: Path, load: Load) -> None:
        super().__init__(f"web-{number}", [], env, log)
        self._load = load
        self.number = number
        self.order = "pause"
        self.paused = threading.Event()
        self.did = self.failed = 0
        self.slowest = 0.0

    def arguments(self) -> list[str]:
        return python("-m", "tests.chaos.web", f"{self.number}.{self.incarnation}")

    def pipes(self, out: object) -> dict[str, object]:
        return {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}

    def started(self) -> None:
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        self.tell(self.order)

    def tell(self, order: str) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        # It was killed a moment ago: its next incarnation hears the same.
        with suppress(OSError, ValueError):
            self.process.stdin.write(f"{order}\n")
            self.process.stdin.flush()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        with process.stdout:
            for line in process.stdout:
                self._hear(line)
        # It ended: what it was not told any more can't be sent.
        with suppress(OSError):
            process.stdin.close()

    def _hear(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        if word == "did":
            self.did += 1
            milliseconds, events = rest.split()
            self.slowest = max(self.slowest, float(milliseconds))
            self._load.count(int(events))
        elif word == "failed":
            self.failed += 1
            with self.log.open("a") as log:
                log.write(line)
        elif word == "paused" and self.order == "pause":
            self.paused.set()


class Load:
    """`enough`: events of a round from which on the load is slow, so that long faults leave no long backlogs."""

    def __init__(self, fleet: Fleet, enough: int) -> None:
        self._fleet = fleet
        self._enough = enough
        self._events = 0
        self._lock = threading.Lock()
        self._turns = itertools.chain.from_iterable(iter(lambda: self.webs, None))

    @property
    def webs(self) -> list[Web]:
        return [member for member in self._fleet.members if isinstance(member, Web)]

    def go(self, number: int) -> None:
        self._events = 0
        for web in self.webs:
            web.paused.clear()
            web.slowest = 0.0
            web.order = f"go {number}"
            web.tell(web.order)

    def count(self, events: int) -> None:
        with self._lock:
            self._events += events
            if self._events < self._enough:
                return
            for web in self.webs:
                if web.order.startswith("go "):
                    web.order = web.order.replace("go", "slow")
                    web.tell(web.order)

    def bulk(self) -> None:
        """Several hundred events in one transaction, by one of them in turn."""
        next(self._turns).tell("bulk")

    def pause(self) -> None:
        """Returns when no transaction is open. Raises `RuntimeError` where one doesn't end."""
        with self._lock:
            for web in self.webs:
                web.order = "pause"
                web.tell("pause")
        for web in self.webs:
            if not web.paused.wait(_PAUSE):
                raise RuntimeError(f"{web.name} did not pause within {_PAUSE:.0f} s: see {web.log}")

    def steps(self) -> int:
        return sum(web.did for web in self.webs)

    def failures(self) -> int:
        return sum(web.failed for web in self.webs)

    def slowest(self) -> float:
        return max(web.slowest for web in self.webs)

    def wait_steps(self, steps: int, seconds: float) -> None:
        """Until so many more transactions are done, or `seconds` are over: under a fault they may all fail."""
        target = self.steps() + steps
        wait_until(lambda: self.steps() >= target, seconds, every=0.01)
