"""A MariaDB server of our own: `python -m project.dev.mariadb -- COMMAND` runs a command on it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from project.dev.own_server import OwnServer
from project.dev.ports import LOOPBACK
from project.dev.serving import run_beside

PROGRAMS = ("mariadb-install-db", "mariadbd")
# Debian has the server where only root's PATH leads.
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
# What a greeting begins with, behind its length and number: the version of the protocol.
_GREETING = b"\x0a"


class MariaDBError(Exception):
    """The server can't be started. The message is for the person at the terminal."""


@dataclass(slots=True)
class MariaDB(OwnServer):
    """`kill` and `start` again find every committed row."""

    NAME = "MariaDB"
    ERROR = MariaDBError
    ANSWER_WITHIN = 60.0  # a first start makes its tables
    STOP_WITHIN = 30.0

    @property
    def url(self) -> str:
        return f"mysql://library@{LOOPBACK}:{self.port}/library"

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url}

    def answers(self) -> bool:
        """Greets whoever connects; while it starts, or is stopped by a signal, it doesn't."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as client:
                return client.recv(5)[4:] == _GREETING
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _begin(self) -> subprocess.Popen[bytes]:
        if self.directory is None:
            self.directory = _install()
        with (self.directory / "server.log").open("ab") as log:
            return subprocess.Popen(
                [_program("mariadbd"), *_options(self.directory, self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: the database goes last, when its clients have left
            )


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
