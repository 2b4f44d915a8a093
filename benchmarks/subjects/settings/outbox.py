"""django-celery-outbox, set up as its documentation says."""

from __future__ import annotations

from benchmarks.subjects.settings import base
from benchmarks.subjects.settings.base import *  # noqa: F403 -- a settings module extends another

INSTALLED_APPS = ["django_celery_outbox", *base.INSTALLED_APPS]
SUBJECT = "benchmarks.subjects.outbox"
CELERY_MODULE = "benchmarks.subjects.outbox_celery"
CELERY_OUTBOX_APP = f"{CELERY_MODULE}.app"
