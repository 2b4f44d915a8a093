from __future__ import annotations

from django.apps import AppConfig


class DepotConfig(AppConfig):
    name = "depot"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from depot import receivers  # noqa: F401
