from django.apps import AppConfig


class DockerConfig(AppConfig):
    name = "tests.docker"

    def ready(self) -> None:
        from tests.docker import shared  # noqa: F401
