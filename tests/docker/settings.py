"""The project's settings in the containers of these tests: with the receivers of chaos on all of its queues."""

from __future__ import annotations

from typing import Any

from project.settings import *  # noqa: F403 -- a settings module extends another
from project.settings import EVENTS as PROJECT_EVENTS
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos", "tests.docker"]
CHAOS = True
EVENTS: dict[str, Any] = PROJECT_EVENTS | {
    "ROUTES": {
        "tests.chaos.receivers.note_tags": "files",
        "tests.chaos.receivers.linger": "files",
        "tests.chaos.receivers.stumble": "recommendations",
        "tests.chaos.receivers.note_happening": "recommendations",
        "tests.chaos.receivers.count_happenings": "alerts",
    }
}
