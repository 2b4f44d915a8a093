"""Of every subject: the project's databases, and Celery as people have it, with the result backend that the bus has.

Celery's own defaults stand wherever they are the faster ones: acknowledged early, nothing recorded at the start.
"""

from __future__ import annotations

from typing import Any

from project.settings import (
    CELERY_BROKER_URL,
    CELERY_DB_REUSE_MAX,
    CELERY_RESULT_BACKEND,
    CELERY_RESULT_EXPIRES,
    CELERY_WORKER_HIJACK_ROOT_LOGGER,
    DATABASES,
    DEFAULT_AUTO_FIELD,
    LOGGING,
    SECRET_KEY,
    TIME_ZONE,
    USE_TZ,
)

__all__ = [
    "CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP",
    "CELERY_BROKER_URL",
    "CELERY_DB_REUSE_MAX",
    "CELERY_MODULE",
    "CELERY_RESULT_BACKEND",
    "CELERY_RESULT_EXPIRES",
    "CELERY_TASK_DEFAULT_QUEUE",
    "CELERY_WORKER_CONCURRENCY",
    "CELERY_WORKER_HIJACK_ROOT_LOGGER",
    "DATABASES",
    "DEFAULT_AUTO_FIELD",
    "INSTALLED_APPS",
    "LOGGING",
    "SECRET_KEY",
    "TIME_ZONE",
    "USE_TZ",
]

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django_celery_results",
    "benchmarks.subjects",
]
# Where the app is that its processes start with.
CELERY_MODULE = "project"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_WORKER_CONCURRENCY = 1


def saying(words: str, name: str, others: str) -> dict[str, Any]:
    """`LOGGING` in which the logger of that name says nothing but these words, and others only what is wrong."""
    only = {"()": "django.utils.log.CallbackFilter", "callback": lambda record: words in record.getMessage()}
    loggers = {others: {"level": "WARNING"}, name: {"level": "INFO", "filters": ["only"]}}
    filters = LOGGING["filters"] | {"only": only}
    return LOGGING | {"filters": filters, "loggers": LOGGING["loggers"] | loggers}
