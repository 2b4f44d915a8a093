from __future__ import annotations

from benchmarks.subjects.settings import base
from benchmarks.subjects.settings.base import *  # noqa: F403 -- a settings module extends another

INSTALLED_APPS = ["pgtrigger", "pgpubsub", *base.INSTALLED_APPS]
# Two lines to a notification would be measured too; of all it says, one is waited for.
LOGGING = base.saying("Listening on", "pgpubsub.listen", "pgpubsub")
SUBJECT = "benchmarks.subjects.triggers"
