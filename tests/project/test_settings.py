from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from project.celery import app
from tests.brokers import ON_RABBITMQ

ROOT = Path(settings.BASE_DIR)
SECRET = "nobody-knows-this-key-it-is-long-and-has-Many-different-letters-0123456789"
SHOW = """
import json, django
from django.conf import settings
names = {names!r}
print(json.dumps({{name: getattr(settings, name, None) for name in names}}, default=str))
"""


def python(*arguments: str, var: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        # Given in full, since the variables of this test run and a developer's .env would decide otherwise.
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "VAR_DIR": str(var),
            "DEBUG": "off",
            "SECRET_KEY": SECRET,
            "DATABASE_URL": "",
            **env,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def settings_under(var: Path, *names: str, **env: str) -> dict[str, object]:
    done = python("-c", SHOW.format(names=names), var=var, **env)
    assert done.returncode == 0, done.stderr
    shown: dict[str, object] = json.loads(done.stdout)
    return shown


def test_settings__deployment_check_finds_nothing_with_debug_off(tmp_path: Path) -> None:
    done = python("manage.py", "check", "--deploy", "--fail-level", "WARNING", var=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


def test_settings__without_debug_a_secret_key_is_demanded(tmp_path: Path) -> None:
    done = python("manage.py", "check", var=tmp_path, SECRET_KEY="")

    assert done.returncode != 0
    assert done.stderr == (
        "ImproperlyConfigured: SECRET_KEY is not set. Put it in the environment or in .env (`make setup` "
        "writes one), or set DEBUG=on to develop with a well-known key.\n"
    )


@pytest.mark.parametrize("url", ["nonsense", "foo://me:pw@host/name", "/srv/db.sqlite3"])
def test_settings__what_is_no_databases_address_is_explained(tmp_path: Path, url: str) -> None:
    done = python("manage.py", "check", var=tmp_path, DATABASE_URL=url)

    assert done.returncode != 0
    assert done.stderr == (
        "ImproperlyConfigured: DATABASE_URL is no database's address. Write postgres://user:password@host/name, "
        "or leave it out for SQLite.\n"
    )


def test_settings__debug_speaks_plain_http(tmp_path: Path) -> None:
    assert settings_under(tmp_path, "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", DEBUG="on") == {
        "SECURE_SSL_REDIRECT": False,
        "SESSION_COOKIE_SECURE": False,
    }


def test_settings__trusts_a_proxy_only_when_told(tmp_path: Path) -> None:
    header = "SECURE_PROXY_SSL_HEADER"

    assert settings_under(tmp_path, header)[header] is None
    assert settings_under(tmp_path, header, BEHIND_PROXY="on")[header] == ["HTTP_X_FORWARDED_PROTO", "https"]


def test_settings__database_url_is_followed(tmp_path: Path) -> None:
    found = settings_under(tmp_path, "DATABASES", DATABASE_URL="postgres://me:pw@127.0.0.1:5433/books")

    database = found["DATABASES"]["default"]  # type: ignore[index]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["NAME"], database["HOST"], database["PORT"]) == ("books", "127.0.0.1", 5433)
    assert database["ATOMIC_REQUESTS"] is True


def test_settings__mail_and_broker_come_from_the_environment(tmp_path: Path) -> None:
    found = settings_under(
        tmp_path,
        *("EMAIL_HOST", "EMAIL_PORT", "EMAIL_USE_TLS", "CELERY_BROKER_URL"),
        EMAIL_URL="smtp+tls://me:pw@mail.example.org:587",
        REDIS_URL="redis://127.0.0.1:7000/3",
    )

    assert found == {
        "EMAIL_HOST": "mail.example.org",
        "EMAIL_PORT": 587,
        "EMAIL_USE_TLS": True,
        "CELERY_BROKER_URL": "redis://127.0.0.1:7000/3",
    }


def test_settings__broker_url_goes_first_and_on_rabbitmq_queues_are_quorum_queues(tmp_path: Path) -> None:
    found = settings_under(
        tmp_path,
        *("CELERY_BROKER_URL", "QUEUE_ARGUMENTS", "CELERY_BROKER_TRANSPORT_OPTIONS"),
        BROKER_URL="amqp://127.0.0.1:5673//",
        REDIS_URL="redis://127.0.0.1:7000/3",
    )

    assert found == {
        "CELERY_BROKER_URL": "amqp://127.0.0.1:5673//",
        "QUEUE_ARGUMENTS": {"x-queue-type": "quorum"},
        "CELERY_BROKER_TRANSPORT_OPTIONS": {"confirm_publish": True},
    }


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
def test_settings__sqlite_writers_wait_for_each_other_and_readers_for_none() -> None:
    def pragma(name: str) -> object:
        with connection.cursor() as cursor:
            return cursor.execute(f"PRAGMA {name}").fetchone()[0]

    assert connection.transaction_mode == "IMMEDIATE"
    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 1  # NORMAL
    assert pragma("busy_timeout") == 30_000  # milliseconds


def test_celery__speaks_json_only_and_has_a_queue_for_each_of_the_events() -> None:
    assert app.conf.accept_content == app.conf.result_accept_content == ["json"]
    assert [queue.name for queue in app.conf.task_queues] == settings.EVENTS["QUEUES"]


def test_celery__no_task_may_run_longer_than_the_broker_keeps_it_to_itself() -> None:
    # RabbitMQ's is its own: `consumer_timeout`, half an hour where nobody set another.
    kept = 30 * 60 if ON_RABBITMQ else app.conf.broker_transport_options["visibility_timeout"]
    assert app.conf.task_time_limit < kept


def test_celery__keeps_its_database_connections() -> None:
    assert app.conf.get("CELERY_DB_REUSE_MAX") == 1000


@pytest.mark.parametrize(
    ("env", "served"), [({}, False), ({"SERVE_MEDIA": "on"}, True), ({"DEBUG": "on"}, True)]
)
def test_settings__uploaded_files_are_handed_out_by_django_only_where_asked(
    tmp_path: Path, env: dict[str, str], served: bool
) -> None:
    assert settings_under(tmp_path, "SERVE_MEDIA", **env) == {"SERVE_MEDIA": served}
