"""All of the project's settings of Celery, as deployed."""

from __future__ import annotations

from kombu import Queue

from benchmarks.subjects.settings import base
from benchmarks.subjects.settings.base import *  # noqa: F403 -- a settings module extends another
from project import settings as project

globals().update({name: value for name, value in vars(project).items() if name.startswith("CELERY_")})

INSTALLED_APPS = ["events.apps.EventsConfig", *base.INSTALLED_APPS]
EVENTS = {"SOURCE": "/benchmark", "PREPARED_STATEMENTS": True}
CELERY_TASK_QUEUES = [Queue("default", routing_key="default")]
CELERY_WORKER_CONCURRENCY = base.CELERY_WORKER_CONCURRENCY
SUBJECT = "benchmarks.subjects.ours"
