from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig

# `class_prepared` fires while models are imported, long before `ready`. Django imports the `apps` module of every
# installed app before the first `models` module of any, so this line sees the models of all apps.
from library.receivers import model_registry  # noqa: F401 -- importing it connects its receiver

RECEIVERS = (
    "backups",
    "cached_settings",
    "categories",
    "demo_data",
    "failures",
    "featured",
    "groups",
    "loaded_state",
    "profiles",
    "slugs",
    "timing",
)


class LibraryConfig(AppConfig):
    """The lending library: importing a module of `RECEIVERS` connects the in-process receivers it holds."""

    name = "library"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        for module in RECEIVERS:
            import_module(f"library.receivers.{module}")
        import_module(
            "library.conf"
        ).library_settings()  # a mistake in LIBRARY stops the start, not a request
