"""What servers that we start for ourselves have in common."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from project.dev.ports import free_port, is_taken


@dataclass(slots=True)
class OwnServer(ABC):
    """In a directory that goes with it, on a port of its own; `kill` and `start` again find what it had.

    Its log is `server.log` in its directory.
    """

    # For the person at the terminal.
    NAME: ClassVar[str]
    ERROR: ClassVar[type[Exception]]
    # Seconds from start to the first greeting, and from SIGTERM to SIGKILL.
    ANSWER_WITHIN: ClassVar[float]
    STOP_WITHIN: ClassVar[float]

    port: int = field(default_factory=free_port)
    directory: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @abstractmethod
    def answers(self) -> bool: ...

    @abstractmethod
    def kill(self) -> None:
        """Like a server that loses power."""

    @abstractmethod
    def _begin(self) -> subprocess.Popen[bytes]:
        """Its process; makes the directory where there is none."""

    @property
    def pid(self) -> int:
        if self.process is None:
            raise self.ERROR(f"{self.NAME} is not running.")
        return self.process.pid

    def start(self) -> None:
        """Returns when it answers. Raises `ERROR`."""
        if is_taken(self.port):
            raise self.ERROR(f"{self.NAME} did not start: port {self.port} is taken.")
        self.process = self._begin()
        deadline = time.monotonic() + self.ANSWER_WITHIN
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                assert self.directory is not None  # noqa: S101 -- made by _begin()
                last = (self.directory / "server.log").read_text("utf-8", "replace")[-2000:]
                self.stop()
                raise self.ERROR(f"{self.NAME} did not start; its log ends with:\n{last}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGCONT)  # a stopped process would not hear the next one
        self.process.terminate()
        try:
            self.process.wait(self.STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self.stop()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None
