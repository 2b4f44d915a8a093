"""Real web servers with the site of tests/processes/site.py, one process each."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from project.dev.ports import free_port
from tests.processes.conftest import PATIENCE, Process

# One process, which gunicorn doesn't end because it waits.
_ONE = ["-w", "1", "-t", "300", "--no-control-socket", "tests.processes.site:wsgi"]
SERVERS = {
    "gunicorn sync": ("save", ["gunicorn", "-k", "sync", *_ONE]),
    "gunicorn gthread": ("save", ["gunicorn", "-k", "gthread", "--threads", "8", *_ONE]),
    "uvicorn": ("save-async", ["uvicorn", "--lifespan", "off", "tests.processes.site:asgi"]),
}


class Site(Process):
    def __init__(self, env: dict[str, str], log: Path, kind: str) -> None:
        page, command = SERVERS[kind]
        port = free_port()
        where = ["-b", f"127.0.0.1:{port}"] if command[0] == "gunicorn" else ["--port", f"{port}"]
        super().__init__(env, log, "-m", *command, *where)
        self.url = f"http://127.0.0.1:{port}/{page}"
        # What it said of the first save of all, which was the process's first.
        self.first: dict[str, Any] = {}

    def save(self) -> dict[str, Any]:
        """What the site says of one save: see `tests.processes.site`."""
        with urllib.request.urlopen(self.url, timeout=PATIENCE) as response:  # noqa: S310 - on loopback
            answer: dict[str, Any] = json.load(response)
            return answer

    def answers(self) -> bool:
        try:
            self.first = self.save()
        except OSError:
            return False
        return True
