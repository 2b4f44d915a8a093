"""The tests' settings, with the version of `depot` that is on PYTHONPATH."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 -- a settings module extends another
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "depot"]
