from __future__ import annotations

from typing import Any

from django.core.signals import setting_changed
from django.dispatch import receiver

from library.conf import library_settings


@receiver(setting_changed)
def refresh_library_settings(setting: str, **kwargs: Any) -> None:
    """Has `settings.LIBRARY` read anew after it changed."""
    # Sent by Django's test tools alone: in production settings don't change.
    if setting == "LIBRARY":
        library_settings.cache_clear()
