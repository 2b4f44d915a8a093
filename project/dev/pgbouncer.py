"""A PgBouncer of our own in front of a PostgreSQL: connections are lent for a transaction, and for no longer."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from project.dev.ports import LOOPBACK, free_port

ANSWER_WITHIN = 30.0  # seconds
STOP_WITHIN = 10.0
# Debian has it where only root's PATH leads.
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


class PgBouncerError(Exception):
    """It can't be started. The message is for the person at the terminal."""


@dataclass(slots=True)
class PgBouncer:
    """In front of the server of `behind`, a PostgreSQL URL, whose user and password it takes for everybody."""

    behind: str
    # Connections to a database, however many clients there are.
    pool: int = 4
    port: int = field(default_factory=free_port)
    directory: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The same database, by way of it."""
        parts = urlsplit(self.behind)
        return urlunsplit(parts._replace(netloc=f"{parts.username}@{LOOPBACK}:{self.port}"))

    def start(self) -> None:
        program = shutil.which("pgbouncer", path=SEARCH)
        if program is None:
            raise PgBouncerError("pgbouncer was not found: install it (Debian: apt-get install pgbouncer).")
        self.directory = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        settings = self.directory / "pgbouncer.ini"
        settings.write_text(self._settings())
        as_owner = _as_owner()
        if as_owner:
            shutil.chown(self.directory, as_owner["user"])
        with (self.directory / "pgbouncer.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, str(settings)],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: it goes when its clients have left
                **as_owner,
            )
        deadline = time.monotonic() + ANSWER_WITHIN
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                last = (self.directory / "pgbouncer.log").read_text("utf-8", "replace")[-2000:]
                self.stop()
                raise PgBouncerError(f"PgBouncer did not start; its log ends with:\n{last}")
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            # At once; a SIGINT would wait until its clients have left.
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _settings(self) -> str:
        to = urlsplit(self.behind)
        login = f"user={unquote(to.username or '')}" + (
            f" password={unquote(to.password)}" if to.password else ""
        )
        return (
            f"[databases]\n* = host={unquote(to.hostname or LOOPBACK)} port={to.port or 5432} {login}\n"
            f"[pgbouncer]\nlisten_addr = {LOOPBACK}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = transaction\ndefault_pool_size = {self.pool}\nmax_client_conn = 500\n"
        )


def _as_owner() -> dict[str, Any]:
    """It refuses to run as root; Debian's package needs a PostgreSQL's user anyway."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name).pw_name
        except KeyError:
            continue
        return {"user": user, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}
    raise PgBouncerError("PgBouncer does not run as root, and there is no user postgres.")
