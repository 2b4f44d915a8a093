from django.apps import AppConfig
from django.conf import settings


class ChaosConfig(AppConfig):
    name = "tests.chaos"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Elsewhere its tables alone are there: tests of the ledger need them, and no test needs more receivers.
        if getattr(settings, "CHAOS", False):
            from tests.chaos import receivers  # noqa: F401
