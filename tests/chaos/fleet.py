"""The processes under test: started, killed, and started again like a supervisor would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[2]
# Seconds between two looks at who has ended.
_WATCH = 0.1
# Seconds for what ends by itself when it is asked to. Under load a pool process of billiard 4.3 waits for 30 before it
# ends: its parent joins it, and no longer reads what it has sent.
_GRACE = 45.0
# Seconds after which a worker's pool is complete, on a loaded machine too.
_STARTED = 8.0
# Bytes of a log file after a round: its end would say what went wrong, and many rounds must not fill the disk.
_LOG_LIMIT = 20_000_000


class Member:
    """One process that is always there: a worker, a relay, a web process."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.command = list(command)
        self.env = dict(env)
        self.log = log
        self.incarnation = 0
        self.process: subprocess.Popen[str] | None = None
        # Whether the next end of it is our doing.
        self.doomed = False
        # For incarnations to come, until one of them has died of it.
        self.crash: dict[str, str] = {}
        # Sessions of parents that are gone: their children may linger.
        self.orphans: list[int] = []
        self._started = 0.0

    def start(self) -> None:
        self.incarnation += 1
        self._started = time.monotonic()
        if self.crash and Path(self.crash["EVENTS_CRASHPOINT_ONCE"]).exists():
            self.crash = {}
        self.doomed = bool(self.crash)
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.arguments(),
                env={**os.environ, **self.env, **self.crash},
                cwd=ROOT,
                stderr=out,
                text=True,
                start_new_session=True,  # Ctrl-C is for the harness
                **self.pipes(out),
            )
        self.started()

    def arguments(self) -> list[str]:
        return self.command

    def pipes(self, out: object) -> dict[str, object]:
        return {"stdin": subprocess.DEVNULL, "stdout": out}

    def started(self) -> None:
        """Each kind has its own way to be spoken to."""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def age(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._started

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """It alone: its children notice, or don't."""
        self._signal(os.kill, signal.SIGKILL)

    def kill_group(self) -> None:
        self._signal(os.killpg, signal.SIGKILL)

    def freeze_group(self) -> None:
        self._signal(os.killpg, signal.SIGSTOP)

    def terminate(self) -> None:
        self._signal(os.kill, signal.SIGTERM)

    def kill_child(self, random: Random) -> None:
        """One of its own processes. Celery gives up a worker whose pool dies while it starts: not before that."""
        wait_until(lambda: self.age() > _STARTED, 2 * _STARTED)
        with suppress(OSError, IndexError):
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            os.kill(int(random.choice(children)), signal.SIGKILL)

    def _signal(self, send: Callable[[int, int], None], number: signal.Signals) -> None:
        if not self.is_alive():
            return
        self.doomed = number in {signal.SIGKILL, signal.SIGTERM} or self.doomed
        with suppress(ProcessLookupError):
            send(self.pid, number)

    def end(self) -> None:
        """Nothing of it is left."""
        for group in [*self.orphans, *([self.pid] if self.process else [])]:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()


class Fleet:
    """All of them, and the thread that starts again whoever ended."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        # (name, exit code) of those that ended and were not made to.
        self.unasked: list[tuple[str, int]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="fleet", daemon=True)
        # Held while one is restarted, so that nobody starts it twice.
        self._lock = threading.RLock()

    def add(self, member: Member) -> None:
        self.members.append(member)
        member.start()

    def watch(self) -> None:
        self._thread.start()

    def of(self, kind: str) -> list[Member]:
        return [member for member in self.members if member.name.startswith(kind)]

    def restart(self, members: Sequence[Member], crashes: Sequence[Mapping[str, str]] = ()) -> None:
        """As a deploy does it: asked to stop, all at once, and started again."""
        with self._lock:
            for member in members:
                member.terminate()
            for member, env in zip_longest(members, crashes, fillvalue={}):
                self._wait(member)
                member.crash = dict(env)
                self._start_again(member)

    def arm(self, member: Member, crash: Mapping[str, str]) -> None:
        """Kill it, and start it with a crashpoint: at once, before the watch may start it without."""
        with self._lock:
            member.kill()
            assert member.process is not None
            member.process.wait()
            member.crash = dict(crash)
            self._start_again(member)

    def _wait(self, member: Member) -> None:
        assert member.process is not None
        try:
            member.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.unasked.append((f"{member.name}: did not stop in {_GRACE:.0f} s", -signal.SIGKILL))
            member.kill_group()
            member.process.wait()

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH):
            for member in self.members:
                with self._lock:
                    if not self._stopping.is_set() and not member.is_alive():
                        self._note(member)
                        self._start_again(member)

    def _note(self, member: Member) -> None:
        assert member.process is not None
        code = member.process.returncode
        if not member.doomed:
            self.unasked.append((member.name, code))

    def _start_again(self, member: Member) -> None:
        group = member.pid
        with suppress(ProcessLookupError):
            os.killpg(group, 0)
            member.orphans.append(group)
        member.orphans = [each for each in member.orphans if _exists(each)]
        member.start()

    def trim_logs(self) -> None:
        for member in self.members:
            with suppress(OSError):
                if member.log.stat().st_size > _LOG_LIMIT:
                    os.truncate(member.log, 0)

    def end(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for member in self.members:
            member.end()


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def wait_until(condition: Callable[[], object], seconds: float, every: float = 0.05) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
