from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings


class SubjectsConfig(AppConfig):
    name = "benchmarks.subjects"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module(settings.SUBJECT)
