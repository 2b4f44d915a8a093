"""django-celery-outbox: a call of a task is a row of the transaction, and a relay sends it."""

from __future__ import annotations

# Before the tasks that are made for it.
from benchmarks.subjects import outbox_celery  # noqa: F401
from benchmarks.subjects.tasks import connect, recorded

__all__ = ["recorded"]

connect(lambda task, pk: task.delay(pk))


def waiting() -> int:
    from django_celery_outbox.models import CeleryOutbox

    return CeleryOutbox.objects.count()
