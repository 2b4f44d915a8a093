from __future__ import annotations

from benchmarks.subjects.settings.base import *  # noqa: F403 -- a settings module extends another

SUBJECT = "benchmarks.subjects.baseline"
