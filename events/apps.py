from __future__ import annotations

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"
    # Not "events": the package may be shipped under another name without a migration.
    label = "offload"
    verbose_name = "Events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from events import tasks
        from events.worker import hooks

        tasks.install()
        hooks.connect()
