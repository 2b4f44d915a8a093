"""The broker under test: a server of our own, to be frozen, filled, killed and emptied; or one at BROKER_URL."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from project.dev.broker import Broker, BrokerError, choose_server
from project.dev.ports import LOOPBACK, free_port
from tests.chaos.fleet import wait_until

# Seconds until a server answers, its data loaded.
_ANSWERS = 20.0
# Names of the settings, which need Django: lists of the broker are called like them.
QUEUES = ("default", "audit", "emails")


def program(choice: str) -> tuple[str, str]:
    """Path of the server, and where it comes from. Raises `BrokerError`."""
    if choice == "embedded":
        # With nothing on PATH there is only that one.
        return choose_server({"PATH": ""})
    if choice and (found := shutil.which(choice)):
        return found, f"{choice} on PATH"
    if choice:
        raise BrokerError(f"CHAOS_BROKER={choice}: there is none on PATH.")
    return choose_server(os.environ)


class ChaosBroker:
    """Raises `BrokerError` where it doesn't answer."""

    owned = False

    def __init__(self, url: str, origin: str) -> None:
        self.url, self.origin = url, origin
        # Deliveries that were in the broker when a fault destroyed what it held.
        self.destroyed = 0
        self._counted = 0

    @property
    def port(self) -> int:
        return int(redis.connection.parse_url(self.url).get("port", 6379))

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=5)

    def pushes(self) -> int:
        """LPUSH commands since the run began: one for each message published."""
        return self._counted + self._calls()

    def _calls(self) -> int:
        stats: Any = self.client().info("commandstats")
        return int(stats.get("cmdstat_lpush", {}).get("calls", 0))

    def refused_for_memory(self) -> int:
        """Commands that it answered with OOM."""
        stats: Any = self.client().info("errorstats")
        return int(stats.get("errorstat_OOM", {}).get("count", 0))

    def flush(self) -> None:
        """FLUSHALL, and how many deliveries went with it."""
        client = self.client()
        pipeline = client.pipeline(transaction=True)
        for name in QUEUES:
            pipeline.lrange(name, 0, -1)
        pipeline.flushall()
        *queues, _ = pipeline.execute()
        self.destroyed += sum(_deliveries(raw) for messages in queues for raw in messages)

    def used_databases(self) -> list[str]:
        keyspace: Any = self.client().info("keyspace")
        return sorted(keyspace)

    def end(self) -> None:
        """Not ours to stop; what is left in it is."""
        with suppress(redis.RedisError):
            self.client().flushall()


class OwnBroker(ChaosBroker):
    owned = True

    def __init__(self, choice: str, directory: Path) -> None:
        self._program, origin = program(choice)
        self._directory = directory
        self._directory.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(f"redis://{LOOPBACK}:{free_port()}/0", origin)
        self.start()

    def start(self, *, appendonly: bool = False) -> None:
        options = {
            "port": self.port,
            "bind": LOOPBACK,
            "save": "",
            "appendonly": "yes" if appendonly else "no",
            "maxmemory-policy": "noeviction",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        with (self._directory / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *arguments],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if not wait_until(self._answers, _ANSWERS):
            raise BrokerError(
                f"The broker ({self.origin}) does not answer: see {self._directory / 'broker.log'}"
            )

    def _answers(self) -> bool:
        # "Loading the dataset" is an error too.
        with suppress(redis.RedisError):
            return bool(self.client().ping())
        return False

    def kill(self, *, loses: bool) -> None:
        """`loses`: nobody will see again what it holds."""
        assert self._process is not None
        self._counted += self._calls()
        if loses:
            client = self.client()
            self.destroyed += sum(_deliveries(raw) for name in QUEUES for raw in client.lrange(name, 0, -1))
        self._process.kill()
        self._process.wait()

    def save(self) -> None:
        self.client().save()

    def append_from_now_on(self) -> None:
        client = self.client()
        client.config_set("appendonly", "yes")

        def is_written() -> bool:
            state: Any = client.info("persistence")
            return not state["aof_rewrite_in_progress"] and not state.get("aof_rewrite_scheduled", 0)

        wait_until(is_written, _ANSWERS)

    def forget(self) -> None:
        """What it would find on the disk when it starts."""
        (self._directory / "dump.rdb").unlink(missing_ok=True)
        shutil.rmtree(self._directory / "appendonlydir", ignore_errors=True)

    def freeze(self, seconds: float) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        if self._process is not None:
            Broker(self.url, self.origin, self._process).stop()


def _deliveries(raw: bytes) -> int:
    with suppress(ValueError, KeyError, TypeError):
        return len(json.loads(raw)["headers"]["events"]["ids"])
    return 0
