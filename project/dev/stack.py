"""`make run`, started by a program: on free ports, in a directory of its own, its log in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from project.dev.ports import LOOPBACK, free_port
from project.dev.run import ROOT

STARTS_WITHIN = 180  # seconds, demo data included
STOPS_WITHIN = 40  # seconds


class StackError(Exception):
    """It did not start or stop. The message ends with the log's last lines."""


def get(url: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False  # not through a proxy of the machine
        return session.get(url, timeout=5)


@dataclass(slots=True)
class Stack:
    directory: Path
    database_url: str = ""
    port: int = field(default_factory=free_port)
    mail_port: int = field(default_factory=free_port)
    broker_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def site(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/"

    @property
    def log(self) -> Path:
        return self.directory / "stack.log"

    @property
    def environment(self) -> dict[str, str]:
        """Empty values, so that neither the machine's environment nor a `.env` file can lead elsewhere."""
        return {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DEBUG": "on",
            "VAR_DIR": str(self.directory),
            "MEDIA_ROOT": str(self.directory / "media"),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": "",
            "BROKER_URL": "",
            "EMAIL_URL": "",
            "SLOW_REQUEST_MS": "10000",  # on a busy machine a log-in may be slow, and that is no part of a story
            "SITE_URL": self.site.rstrip("/"),
            "PORT": str(self.port),
            "MAIL_PORT": str(self.mail_port),
            "BROKER_PORT": str(self.broker_port),
        }

    def mails(self) -> list[dict[str, object]]:
        """What the mail sink holds, oldest first."""
        found: list[dict[str, object]] = get(f"http://{LOOPBACK}:{self.mail_port}/messages.json").json()
        return found

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "project.dev.run"],
                cwd=ROOT,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # our Ctrl-C reaches it through stop(), once
            )
        deadline = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise StackError(f"the stack did not start; its log ends with:\n{self.last_lines()}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return get(self.site).ok and get(f"http://{LOOPBACK}:{self.mail_port}/").ok
        except requests.RequestException:
            return False

    def last_lines(self, count: int = 40) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-count:])

    def stop(self) -> int:
        """Ctrl-C, and wait until everything has ended. The exit code of `make run`."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise StackError(f"the stack did not stop; its log ends with:\n{self.last_lines()}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
