from __future__ import annotations

from benchmarks.subjects.settings import base
from benchmarks.subjects.settings.base import *  # noqa: F403 -- a settings module extends another

INSTALLED_APPS = ["pgtrigger", "pgpubsub", *base.INSTALLED_APPS]
# Two lines to a notification would be measured too; of all it says, one is waited for.
LOGGING = base.LOGGING | {
    "filters": {
        "beginning": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: "Listening for" in record.getMessage(),
        }
    },
    "loggers": base.LOGGING["loggers"]
    | {"pgpubsub": {"level": "WARNING"}, "pgpubsub.listen": {"level": "INFO", "filters": ["beginning"]}},
}
SUBJECT = "benchmarks.subjects.triggers"
