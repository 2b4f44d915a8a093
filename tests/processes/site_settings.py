"""The tests' settings, for a real web server with two URLs: see tests/processes/site.py."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403 -- a settings module extends another
from tests.settings import EVENTS

ROOT_URLCONF = "tests.processes.site"
MIDDLEWARE: list[str] = []
ALLOWED_HOSTS = ["127.0.0.1"]
EVENTS = EVENTS | {"PUBLISH_TIMEOUT": float(os.environ.get("SITE_PUBLISH_TIMEOUT", "0.2"))}
