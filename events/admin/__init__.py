"""What happened to every event, in the admin's own look: to read, and to put right what may be put right."""

from django.apps import apps

# Importing them registers them.
from events.admin import (  # noqa: F401
    actions,
    deliveries,
    events,
    failures,
    flowmap,
    health,
    queues,
    receivers,
    refusals,
    workers,
)

if apps.is_installed("django_celery_results"):
    from events.admin import results  # noqa: F401 - the same
