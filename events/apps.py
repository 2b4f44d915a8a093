from __future__ import annotations

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"
    # Not "events": the package may be shipped under another name without a migration.
    label = "offload"
    verbose_name = "Events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Not before: these import models. Importing `checks` registers them.
        from events import checks, tasks  # noqa: F401, PLC0415
        from events.worker import hooks  # noqa: PLC0415

        tasks.install()
        hooks.connect()
