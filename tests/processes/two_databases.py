"""The tests' settings for a worker that serves two outboxes: see tests/processes/test_two_databases.py."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 -- a settings module extends another
from tests.settings import EVENTS

EVENTS = EVENTS | {"DATABASES": ["default", "other"]}
