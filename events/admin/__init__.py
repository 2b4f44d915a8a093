"""What happened to every event, in the admin's own look: to read, and to put right what may be put right."""

from django.apps import apps

from events.admin import deliveries, events, flowmap, health, queues, refusals, workers  # noqa: F401 - importing registers them

if apps.is_installed("django_celery_results"):
    from events.admin import results  # noqa: F401 - the same
