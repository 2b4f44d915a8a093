"""The project's own settings, as deployed, with the receivers that are measured."""

from __future__ import annotations

import os

from project.settings import *  # noqa: F403 -- a settings module extends another
from project.settings import DATABASES, EVENTS, INSTALLED_APPS, VAR_DIR

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.subject"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: other processes open it too.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "benchmark.sqlite3")}
else:
    DATABASES["default"]["TEST"] = {"NAME": f"benchmark_{os.getpid()}"}
if os.environ.get("BENCHMARK_RELAY") == "off":
    # Where the relay is to be measured in a process of its own.
    EVENTS = EVENTS | {"RELAY": False}
CELERY_WORKER_MAX_TASKS_PER_CHILD = int(os.environ.get("WORKER_MAX_TASKS_PER_CHILD", "10000")) or None
