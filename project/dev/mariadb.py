"""A MariaDB server of our own: `python -m project.dev.mariadb -- COMMAND` runs a command on it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from project.dev.ports import LOOPBACK, free_port, is_taken
from project.dev.serving import run_beside

ANSWER_WITHIN = 60.0  # seconds from start to the first greeting; a first start makes its tables
STOP_WITHIN = 30.0  # seconds from SIGTERM to SIGKILL
PROGRAMS = ("mariadb-install-db", "mariadbd")
# Debian has the server where only root's PATH leads.
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
# What a greeting begins with, behind its length and number: the version of the protocol.
_GREETING = b"\x0a"


class MariaDBError(Exception):
    """The server can't be started. The message is for the person at the terminal."""


@dataclass(slots=True)
class MariaDB:
    """A server in a directory that goes with it. `kill` and `start` again find every committed row."""

    port: int = field(default_factory=free_port)
    directory: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"mysql://library@{LOOPBACK}:{self.port}/library"

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url}

    @property
    def pid(self) -> int:
        if self.process is None:
            raise MariaDBError("MariaDB is not running.")
        return self.process.pid

    def start(self) -> None:
        """Returns when it answers."""
        if is_taken(self.port):
            raise MariaDBError(f"MariaDB did not start: port {self.port} is taken.")
        if self.directory is None:
            self.directory = _install()
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [_program("mariadbd"), *_options(self.directory, self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: the database goes last, when its clients have left
            )
        deadline = time.monotonic() + ANSWER_WITHIN
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                last = (self.directory / "server.log").read_text("utf-8", "replace")[-2000:]
                self.stop()
                raise MariaDBError(f"MariaDB did not start; its log ends with:\n{last}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Greets whoever connects; while it starts, or is stopped by a signal, it doesn't."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as client:
                return client.recv(5)[4:] == _GREETING
        except OSError:
            return False

    def kill(self) -> None:
        """Like a server that loses power."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGCONT)  # a stopped process would not hear the next one
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._remove()

    def _remove(self) -> None:
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None


def is_installed() -> bool:
    return all(shutil.which(name, path=SEARCH) for name in PROGRAMS)


def _program(name: str) -> str:
    found = shutil.which(name, path=SEARCH)
    if found is None:
        raise MariaDBError(f"{name} was not found: install MariaDB (Debian: apt-get install mariadb-server).")
    return found


def _owner() -> str:
    """The server refuses to run as root unless told so; Debian's package brings a user for it."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    try:
        return pwd.getpwnam("mysql").pw_name
    except KeyError:
        return "root"


def _install() -> Path:
    install = _program("mariadb-install-db")
    # A short path, and one that the server's own user may enter.
    directory = Path(tempfile.mkdtemp(prefix="mariadb-"))
    shutil.chown(directory, _owner())
    done = subprocess.run(
        [
            install,
            "--no-defaults",
            f"--datadir={directory}",
            f"--user={_owner()}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        shutil.rmtree(directory, ignore_errors=True)
        raise MariaDBError(f"mariadb-install-db failed:\n{(done.stdout + done.stderr)[-2000:]}")
    # Read at every start, before the first connection.
    (directory / "init.sql").write_text(
        "CREATE DATABASE IF NOT EXISTS library CHARACTER SET utf8mb4;\n"
        f"CREATE USER IF NOT EXISTS library@'{LOOPBACK}';\n"
        f"GRANT ALL ON *.* TO library@'{LOOPBACK}';\n"
    )
    return directory


def _options(directory: Path, port: int) -> list[str]:
    return [
        "--no-defaults",
        f"--user={_owner()}",
        f"--datadir={directory}",
        f"--port={port}",
        f"--bind-address={LOOPBACK}",
        f"--socket={directory / 'server.sock'}",
        f"--pid-file={directory / 'server.pid'}",
        f"--init-file={directory / 'init.sql'}",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
        # Some machine's own, as in real life: who takes the server's time for UTC is five hours wrong here.
        "--default-time-zone=-05:00",
        # An event of 50 MB is one statement.
        "--max-allowed-packet=256M",
        "--innodb-buffer-pool-size=128M",
        "--innodb-log-file-size=48M",
        # A commit survives the end of the server's process; a power cut it need not survive.
        "--innodb-flush-log-at-trx-commit=2",
        "--innodb-doublewrite=0",
        "--skip-log-bin",
    ]


def main(arguments: Sequence[str]) -> int:
    return run_beside("mariadb", MariaDB(), MariaDBError, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
