from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "tests.shop"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from tests.shop import poisons, receivers, safes  # noqa: F401
