"""What pytest-celery starts for us: brokers of the versions we name, and a worker of our own image."""

from __future__ import annotations

import secrets
from typing import Any

from pytest_celery import CeleryTestContainer, CeleryWorkerContainer, RabbitMQContainer, RedisContainer
from pytest_docker_tools.wrappers import Container

PASSWORD = secrets.token_hex(16)
QUEUES = "default,emails,audit,recommendations,files,alerts"


class Redis(RedisContainer):
    @classmethod
    def image(cls) -> str:
        return "redis:8"


class RabbitMQ(RabbitMQContainer):
    @classmethod
    def image(cls) -> str:
        return "rabbitmq:4"


class Postgres(Container):
    """Ready when it answers by TCP: the server that makes the first database doesn't."""

    def ready(self) -> bool:
        if not super().ready():
            return False
        asked = self.exec_run(["pg_isready", "-q", "-h", "127.0.0.1", "-U", "library", "-d", "library"])
        return bool(asked.exit_code == 0)

    @property
    def url(self) -> str:
        return f"postgres://library:{PASSWORD}@{self.attrs['Config']['Hostname']}/library"


class Judge(CeleryTestContainer):
    """A process beside the worker: makes the tables, then the load, then compares."""

    PREPARED = "It is prepared."

    @classmethod
    def command(cls, *args: str, **options: Any) -> list[str]:  # noqa: ARG003 -- as pytest-celery calls it
        steps = [
            "python manage.py migrate --run-syncdb --verbosity 0",
            "python -m tests.docker.inside prepare",
            f"echo '{cls.PREPARED}'",
            "exec sleep infinity",
        ]
        return ["sh", "-c", " && ".join(steps)]

    @property
    def ready_prompt(self) -> str:
        return self.PREPARED


class LibraryWorker(CeleryWorkerContainer):
    """The project's own app in the project's own image: nothing is written into it."""

    @classmethod
    def command(cls, *args: str, **options: Any) -> list[str]:  # noqa: ARG003 -- as pytest-celery calls it
        return [
            "celery",
            "-A",
            "project",
            "worker",
            "-n",
            f"{cls.worker_name()}@%h",
            "-Q",
            cls.worker_queue(),
            "-l",
            "INFO",
            *args,
        ]

    @classmethod
    def worker_name(cls) -> str:
        return "tests"

    @classmethod
    def worker_queue(cls) -> str:
        return QUEUES


def environment(broker_url: str, database_url: str) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "tests.docker.settings",
        "SECRET_KEY": f"{PASSWORD}-{PASSWORD}-for-the-tests",
        "BROKER_URL": broker_url,
        "DATABASE_URL": database_url,
        "EMAIL_URL": "dummymail://",
    }
