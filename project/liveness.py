"""A worker's sign of life for whoever supervises it: a file that it touches while its loop turns.

A living pid says little: a worker that lost its broker, or whose loop stands still, is alive too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps

EVERY = 1.0  # seconds


class SignOfLife(bootsteps.StartStopStep):
    """By Celery's timer: it is the loop itself that turns it, and only while there is a broker."""

    requires = ("celery.worker.components:Timer",)

    def start(self, parent: Any) -> None:
        path = Path(os.environ["ALIVE_FILE"])
        parent.timer.call_repeatedly(EVERY, path.touch)


def show_signs_of_life(app: Celery) -> None:
    """Where `ALIVE_FILE` names a file."""
    if os.environ.get("ALIVE_FILE"):
        app.steps["worker"].add(SignOfLife)
