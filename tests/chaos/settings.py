"""The project's settings, for the processes of a chaos run: what `python -m tests.chaos` says, and no .env."""

from __future__ import annotations

import os
from typing import Any

from kombu import Queue

os.environ["DEBUG"] = "off"
os.environ.setdefault("SECRET_KEY", "a-key-for-chaos-that-is-long-enough-for-the-deployment-check")

from project.settings import *  # noqa: F403 -- a settings module extends another; after the environment
from project.settings import EVENTS as PROJECT_EVENTS
from project.settings import INSTALLED_APPS, LOGGING

INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos"]
# Its receivers are connected here alone.
CHAOS = True
# Everything else is the bus's default: recovery is measured with those.
EVENTS: dict[str, Any] = PROJECT_EVENTS | {"SOURCE": "/chaos", "QUEUES": ["default", "audit", "emails"]}
CELERY_TASK_QUEUES = [Queue(name, routing_key=name) for name in EVENTS["QUEUES"]]
# Log files are for finding out what happened: they need the time and the process.
LOGGING = LOGGING | {
    "formatters": {
        "line": {
            "format": "{asctime} {process} {threadName} {levelname:<7} {name}: {message}",
            "style": "{",
        }
    }
}
