from django.apps import AppConfig


class SubjectConfig(AppConfig):
    name = "benchmarks.subject"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from benchmarks.subject import receivers  # noqa: F401 -- they register themselves
