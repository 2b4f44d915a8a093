"""The tests' settings for a worker that serves two outboxes: see tests/processes/test_two_databases.py."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403 -- a settings module extends another
from tests.settings import DATABASES, EVENTS

# The test's own, which has the name of pytest-xdist's process in it.
DATABASES["other"]["NAME"] = os.environ["OTHER_DATABASE"]
EVENTS = EVENTS | {"DATABASES": ["default", "other"]}
