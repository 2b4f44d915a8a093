"""The compose file under a name of its own, on ports that the engine chooses; nothing of it is left afterwards."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.docker.engine import Failed, docker

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# Seconds for a container that was started again.
PATIENCE = 300
# What Docker's client needs to know of this machine; no other variable reaches the compose file.
_CLIENTS = ("PATH", "HOME", "DOCKER_")


@dataclass(slots=True)
class Compose:
    image: str
    override: str
    name: str = field(default_factory=lambda: f"library-test-{secrets.token_hex(4)}")
    extra: dict[str, str] = field(default_factory=dict)
    password: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def env(self) -> dict[str, str]:
        """Ports of 0 are chosen by the engine, when it needs them: nobody can take one in between."""
        return {name: value for name, value in os.environ.items() if name.startswith(_CLIENTS)} | {
            "IMAGE": self.image,
            "SECRET_KEY": f"{self.password}-{self.password}-for-the-tests",
            "POSTGRES_PASSWORD": self.password,
            "REDIS_PASSWORD": self.password,
            "CONTAINERS_HTTPS": "off",
            "PORT": "0",
            "MAIL_PORT": "0",
            # On a busy machine a page may be slow, and an event about that is no part of what is counted.
            "SLOW_REQUEST_MS": "600000",
            **self.extra,
        }

    def run(self, *arguments: str) -> str:
        files = [ROOT / "docker-compose.yml", HERE / self.override]
        where = ["--project-name", self.name, "--project-directory", str(ROOT), "--env-file", os.devnull]
        return docker("compose", *where, *(f"--file={file}" for file in files), *arguments, env=self.env)

    def up(self, *arguments: str) -> None:
        self.run("up", "--detach", "--no-build", "--wait", *arguments)

    def down(self) -> None:
        self.run("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "0")

    # --- Its containers ---------------------------------------------------------------------------------------

    def container(self, service: str, number: int = 1) -> str:
        return f"{self.name}-{service}-{number}"

    def state(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            docker("inspect", "--format", "{{json .State}}", self.container(service))
        )
        return found

    def address(self, service: str, port: int) -> str:
        """`127.0.0.1:PORT`. It changes when the container is started again."""
        return self.run("port", service, str(port)).strip()

    def python(self, service: str, *arguments: str) -> str:
        return docker("exec", self.container(service), "python", *arguments)

    @contextmanager
    def killed(self, service: str) -> Iterator[None]:
        """Without warning, and there again in the end."""
        docker("kill", self.container(service))
        try:
            yield
        finally:
            self.start(service)

    def start(self, service: str) -> None:
        """Returns when it is healthy, where it can tell."""
        docker("start", self.container(service))
        end = time.monotonic() + PATIENCE
        while (state := self.state(service)).get("Health", {"Status": "healthy"})["Status"] != "healthy":
            if time.monotonic() > end:
                raise Failed(f"{service} was started again and is {state}\n{self.logs(service)}")
            time.sleep(0.3)

    def logs(self, *services: str) -> str:
        return self.run("logs", "--no-color", "--tail", "60", *services)


@contextmanager
def running(compose: Compose) -> Iterator[Compose]:
    """Up, and whatever happens, gone afterwards with all its data."""
    try:
        try:
            compose.up()
        except Failed as failure:
            failure.add_note(compose.logs())
            raise
        yield compose
    finally:
        compose.down()
