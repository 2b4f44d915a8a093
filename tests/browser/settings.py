"""The tests' settings for a site that a browser visits: assets are served, and nothing inline is allowed."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 -- a settings module extends another
from tests.settings import MIDDLEWARE

WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = True
MIDDLEWARE = ["tests.browser.strictness.forbid_inline", *MIDDLEWARE]
