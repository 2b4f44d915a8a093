from __future__ import annotations

from benchmarks.subjects.settings import base
from benchmarks.subjects.settings.base import *  # noqa: F403 -- a settings module extends another

INSTALLED_APPS = ["procrastinate.contrib.django", *base.INSTALLED_APPS]
# Two lines to a job would be measured too.
LOGGING = base.LOGGING | {
    "loggers": base.LOGGING["loggers"] | {"procrastinate": {"level": "WARNING"}},
}
SUBJECT = "benchmarks.subjects.procrastinating"
