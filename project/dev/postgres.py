"""A private PostgreSQL server: a cluster in a directory of its own, for tests that restart and kill it.

`python -m project.dev.postgres -- COMMAND` runs a command on one.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from project.dev.ports import LOOPBACK, free_port
from project.dev.serving import run_beside

USER = "library"
# Seconds. A loaded machine recovers a killed cluster slowly.
ANSWER_WITHIN = 60.0
# Debian keeps the server's programs out of PATH, one directory per version.
_DEBIAN = "/usr/lib/postgresql"

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    # The data lasts as long as the run: it has to survive a killed server, not a power cut.
    "fsync": "off",
}


class PostgresError(Exception):
    """The server can't be installed, started or reached. The message is for the person at the terminal."""


def find_programs() -> Path:
    """The directory of the newest server's programs. Raises `PostgresError`."""
    versions = sorted(Path(_DEBIAN).glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise PostgresError("PostgreSQL's initdb was not found: install it (Debian: apt-get install postgresql).")


@dataclass(slots=True)
class Postgres:
    """`start()` makes the cluster in `directory` where there is none. Its superuser is `library`, without password."""

    directory: Path
    port: int = field(default_factory=free_port)
    programs: Path = field(default_factory=find_programs)
    # Besides SETTINGS, or instead of them.
    settings: Mapping[str, str] = field(default_factory=dict)

    def url(self, database: str = "library") -> str:
        return f"postgres://{USER}@{LOOPBACK}:{self.port}/{database}"

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url()}

    def start(self) -> None:
        if not self._cluster.exists():
            self._make()
        settings = SETTINGS | dict(self.settings)
        options = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in settings.items())
        # After a kill its predecessor's children may hold the shared memory for a moment.
        deadline = time.monotonic() + ANSWER_WITHIN
        while self._run(
            "pg_ctl", "-D", str(self._cluster), "-l", str(self._log), "-w", "-t", f"{ANSWER_WITHIN:.0f}",
            "-o", f"-p {self.port} {options}", "start",
        ):  # fmt: skip
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL did not start: see {self._log}")
            time.sleep(0.2)

    def stop(self, mode: str = "immediate") -> None:
        """`smart`, `fast`, or `immediate`: as after a crash, without a checkpoint."""
        if self.pid is not None:
            self._run("pg_ctl", "-D", str(self._cluster), "-m", mode, "-w", "stop")

    def restart(self, mode: str = "immediate") -> None:
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """All of its processes at once, like a machine that loses power."""
        pid = self.pid
        if pid is None:
            return
        # Each of its processes has a session of its own: their parent is what they have in common.
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in [pid, *map(int, children)]:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def execute(self, statement: str) -> None:
        """As superuser, outside a transaction. Raises `PostgresError`."""
        address = ["-h", LOOPBACK, "-p", str(self.port), "-U", USER, "-d", "postgres"]
        if self._run("psql", *address, "-qc", statement):
            raise PostgresError(f"PostgreSQL refused: {statement}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _cluster(self) -> Path:
        return self.directory / "cluster"

    @property
    def _log(self) -> Path:
        return self.directory / "postgres.log"

    def _make(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if user := self._owner():
            shutil.chown(self.directory, user, user)
        options = ["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        if self._run("initdb", "-D", str(self._cluster), *options):
            raise PostgresError(f"PostgreSQL's initdb failed: see {self._log}")

    def _owner(self) -> str | None:
        """PostgreSQL refuses to run as root: then another user does, who has to be able to reach the directory."""
        if os.geteuid() != 0:
            return None
        try:
            return pwd.getpwnam("postgres").pw_name
        except KeyError:
            raise PostgresError("PostgreSQL does not run as root, and there is no user postgres.") from None

    def _run(self, program: str, *arguments: str) -> int:
        user = self._owner()
        as_owner: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
        self._log.touch()
        if user:
            shutil.chown(self._log, user, user)
        with self._log.open("ab") as log:
            return subprocess.run(
                [self.programs / program, *arguments],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                start_new_session=True,
                **as_owner,
            ).returncode

    @property
    def pid(self) -> int | None:
        with suppress(OSError, ValueError, IndexError):
            return int((self._cluster / "postmaster.pid").read_text().splitlines()[0])
        return None


@contextmanager
def private() -> Iterator[Postgres]:
    """A server with an empty database `library`, in a directory that goes with it. Raises `PostgresError`."""
    # Not under a directory that only one user may enter: as root, another runs it.
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        directory.chmod(0o755)
        with Postgres(directory / "server") as server:
            server.start()
            server.execute("CREATE DATABASE library")
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main(arguments: Sequence[str]) -> int:
    return run_beside("postgres", private(), PostgresError, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
