from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig

RECEIVERS = ("emails", "audit", "recommendations", "files", "alerts")


class WorkersConfig(AppConfig):
    """The receivers that run out of process: importing a module of `RECEIVERS` connects what it holds."""

    name = "workers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        for module in RECEIVERS:
            import_module(f"workers.{module}")
