from __future__ import annotations

from benchmarks.subjects.settings import base
from benchmarks.subjects.settings.base import *  # noqa: F403 -- a settings module extends another

INSTALLED_APPS = ["procrastinate.contrib.django", *base.INSTALLED_APPS]
# Two lines to a job would be measured too; of all it says, one is waited for.
LOGGING = base.saying("Starting worker", "procrastinate.worker", "procrastinate")
SUBJECT = "benchmarks.subjects.procrastinating"
