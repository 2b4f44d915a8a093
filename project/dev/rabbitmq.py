"""A RabbitMQ node of our own: `python -m project.dev.rabbitmq -- COMMAND` runs a command on it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kombu import Connection
from kombu.exceptions import OperationalError

from project.dev.own_server import OwnServer
from project.dev.ports import LOOPBACK, free_port
from project.dev.serving import run_beside

# Debian has the scripts of the server itself here; what it puts on PATH takes its own account's directories.
SEARCH = os.pathsep.join(
    ["/usr/lib/rabbitmq/bin", os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"]
)
PROGRAMS = ("rabbitmq-server", "epmd")
# Erlang's threads would else turn in circles for work, and take it from whoever shares the machine.
ERLANG = "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"


class RabbitMQError(Exception):
    """The node can't be started. The message is for the person at the terminal."""


@dataclass(slots=True)
class RabbitMQ(OwnServer):
    """A node; `kill` and `start` again find what it confirmed: see `write_names`."""

    NAME = "RabbitMQ"
    ERROR = RabbitMQError
    ANSWER_WITHIN = 120.0  # Erlang takes long on a busy machine
    STOP_WITHIN = 60.0

    # Nodes find each other through a program of Erlang's: theirs and ours must not meet.
    epmd_port: int = field(default_factory=free_port)
    dist_port: int = field(default_factory=free_port)
    epmd: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}//"

    @property
    def environment(self) -> dict[str, str]:
        return {"BROKER_URL": self.url}

    def answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=2, transport_options={"read_timeout": 2}) as client:
                client.connect()
        except (OSError, OperationalError, *Connection(self.url).connection_errors):
            return False
        return True

    def write_names(self) -> None:
        """As a node does by itself within minutes: which quorum queue is in which of its files.

        Killed before that, RabbitMQ 3.10 has what it confirmed, and finds it no more.
        """
        self.control("eval", "[dets:sync(Table) || Table <- dets:all()].")

    def kill(self) -> None:
        if self.process is not None:
            # It has a session of its own, and Erlang's helpers are in it.
            _kill_session(self.process)

    def stop(self) -> None:
        # Not super(): a class with slots is not the one its methods were written in.
        OwnServer.stop(self)
        if self.epmd is not None:
            # Last: while a node lives, it is registered there.
            self.epmd.terminate()
            self.epmd.wait()
            self.epmd = None

    def control(self, *arguments: str) -> str:
        """What rabbitmqctl answers. Raises `RabbitMQError`; takes a second, for Erlang starts anew."""
        assert self.directory is not None  # noqa: S101 -- only asked of a node that runs
        done = subprocess.run(
            [_program("rabbitmqctl"), "--quiet", *arguments],
            cwd=self.directory,
            env=_environment(self.directory, self.epmd_port, self.dist_port),
            capture_output=True,
            text=True,
            check=False,
            **_as_owner(),
        )
        if done.returncode:
            raise RabbitMQError(f"rabbitmqctl {' '.join(arguments)} failed:\n{done.stderr or done.stdout}")
        return done.stdout

    def _begin(self) -> subprocess.Popen[bytes]:
        server, epmd = (_program(name) for name in PROGRAMS)
        if self.directory is None:
            self.directory = _make_directory(self.port)
        if self.epmd is None:
            self.epmd = self._launch([epmd, "-address", LOOPBACK, "-port", str(self.epmd_port)])
        return self._launch([server])

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        assert self.directory is not None  # noqa: S101 -- made by _begin()
        with (self.directory / "server.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.directory,
                env=_environment(self.directory, self.epmd_port, self.dist_port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: the broker goes last, when its clients have left
                **_as_owner(),
            )


def is_installed() -> bool:
    return all(shutil.which(name, path=SEARCH) for name in PROGRAMS)


def _program(name: str) -> str:
    found = shutil.which(name, path=SEARCH)
    if found is None:
        raise RabbitMQError(
            f"{name} was not found: install RabbitMQ (Debian: apt-get install rabbitmq-server)."
        )
    return found


def _owner() -> str | None:
    """Debian's package brings a user for it; who is not root runs it as themselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("rabbitmq").pw_name
    except KeyError:
        return None


def _as_owner() -> dict[str, Any]:
    user = _owner()
    return {"user": user, "group": user, "extra_groups": []} if user else {}


def _make_directory(port: int) -> Path:
    # One that the node's own user may enter: its cookie, its database and its log are in it.
    directory = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
    (directory / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = {LOOPBACK}:{port}\n"
        # The data lasts as long as the run; a small disk must not stop it.
        "disk_free_limit.absolute = 1MB\n"
        "raft.wal_max_size_bytes = 33554432\n"
    )
    (directory / "enabled_plugins").write_text("[].\n")
    if user := _owner():
        shutil.chown(directory, user, user)
    return directory


def _environment(directory: Path, epmd_port: int, dist_port: int) -> Mapping[str, str]:
    """Nothing of the machine's own node: neither its name, its files nor its settings."""
    return {
        "PATH": SEARCH,
        "LANG": "C.UTF-8",
        "HOME": str(directory),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "RABBITMQ_NODENAME": "library@localhost",
        "RABBITMQ_DIST_PORT": str(dist_port),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CTL_ERL_ARGS": "+sbwt none",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
        # Its script then becomes the node, which ends in good order by SIGTERM; else a shell stands before it.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(arguments: Sequence[str]) -> int:
    return run_beside("rabbitmq", RabbitMQ(), RabbitMQError, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
