"""The web processes of `make chaos`, in the container of the web server: they die with it, and come back with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.fleet import Fleet
from tests.chaos.load import Load, Web
from tests.docker.stack import Compose

PROCESSES = 2
# Events of a round from which on the load is slow: a container may take a while to be there again.
ENOUGH = 150


class WebInContainer(Web):
    def __init__(self, number: int, compose: Compose, log: Path, load: Load) -> None:
        super().__init__(number, compose.env, log, load)
        self.container = compose.container("web")

    def arguments(self) -> list[str]:
        inside = ["python", "-m", "tests.chaos.web", f"{self.number}.{self.incarnation}"]
        return ["docker", "exec", "--interactive", self.container, *inside]


@contextmanager
def under_load(compose: Compose, directory: Path) -> Iterator[Load]:
    """Paused until it is told to go."""
    fleet = Fleet()
    load = Load(fleet, ENOUGH)
    try:
        for number in range(PROCESSES):
            fleet.add(WebInContainer(number, compose, directory / f"load-{number}.log", load))
        fleet.watch()
        yield load
    finally:
        fleet.end()
