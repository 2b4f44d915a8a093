"""The Celery app. Start a worker with `celery -A project worker -Q emails,audit,…`."""

from __future__ import annotations

import os

from celery import Celery

from project.liveness import show_signs_of_life

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
# For every thread, not only the one that imports this: the bus publishes from any.
app.set_default()
app.autodiscover_tasks()
show_signs_of_life(app)
