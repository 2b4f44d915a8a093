from __future__ import annotations

from django_celery_outbox import OutboxCelery

app = OutboxCelery("outbox")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Not the project's, which its settings bring along.
app.set_default()
app.autodiscover_tasks()
