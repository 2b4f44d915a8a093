from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.apps import apps as current_apps
from django.apps.registry import Apps
from django.core.management import call_command
from django.db.models.signals import post_migrate
from django.dispatch import receiver

from library.conf import library_settings
from library.models import Book
from library.receivers.groups import is_migrated


@receiver(post_migrate, sender=current_apps.get_app_config("library"))
def fill_empty_library(
    sender: AppConfig, using: str, verbosity: int = 1, apps: Apps = current_apps, **kwargs: Any
) -> None:
    """Adds demo data to an empty library, where `LIBRARY["DEMO_DATA_AFTER_MIGRATE"]` says so."""
    if using != "default" or not library_settings().demo_data_after_migrate:
        return
    if is_migrated(apps) and not Book.objects.exists():
        call_command("demo_data", verbosity=verbosity)
