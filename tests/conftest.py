from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from kombu import pools
from pytest_django import Settings

from project.celery import app
from project.dev import rabbitmq
from project.dev.broker import Broker, BrokerError
from project.dev.mail import MailSink
from project.dev.pgbouncer import PgBouncer
from tests import brokers

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def pytest_configure() -> None:
    if brokers.ON_RABBITMQ and not rabbitmq.is_installed():
        pytest.exit(
            "TEST_BROKER=rabbitmq, and it is not installed (Debian: apt-get install rabbitmq-server).", 1
        )


def pytest_make_parametrize_id(val: object) -> str | None:
    """A random value in a test's name would be another one in each of pytest-xdist's processes."""
    return "a UUID" if isinstance(val, str) and UUID.fullmatch(val) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Half a surrogate pair in what a test logged can't travel between pytest-xdist's processes."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real server of this run's own, never the one at BROKER_URL; the Celery app talks to it from now on."""
    try:
        running = brokers.start(tmp_path_factory.mktemp("the broker"))
    except BrokerError as reason:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no broker: {reason}")
    refusing = app.conf.broker_url
    _connect_celery(running.url)
    yield running
    _connect_celery(refusing)
    brokers.end(running)


def _connect_celery(url: str) -> None:
    os.environ["TEST_BROKER_URL"] = url  # for the processes that tests start
    # Connections and producers of the address of before.
    pools.reset()
    app._pool = None
    app.amqp._producer_pool = None
    app.conf.broker_url = url


@pytest.fixture
def smtp_sink(tmp_path: Path, settings: Settings) -> Iterator[MailSink]:
    """A real SMTP server; Django in this process sends to it."""
    with MailSink(tmp_path / "mail") as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = sink.host, sink.smtp_port
        yield sink


@pytest.fixture(scope="session")
def pooler(django_db_setup: None) -> Iterator[PgBouncer | None]:
    """With TEST_PGBOUNCER=on: what processes find in the place of this run's PostgreSQL."""
    if os.environ.get("TEST_PGBOUNCER") != "on":
        yield None
        return
    with PgBouncer(database_url()) as running:
        yield running


@pytest.fixture
def process_env(
    broker: Broker,
    transactional_db: None,
    smtp_sink: MailSink,
    settings: Settings,
    pooler: PgBouncer | None,
) -> dict[str, str]:
    """The environment for a real process: this test's database, broker, media and mail server."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": pooler.url if pooler else database_url(),
        "DISABLE_SERVER_SIDE_CURSORS": "on" if pooler else "off",
        "TEST_BROKER_URL": broker.url,
        "TEST_OTHER_DATABASE": "off",
        "EMAIL_URL": smtp_sink.url,
        "MEDIA_ROOT": str(settings.MEDIA_ROOT),
        "PYTHONPATH": str(settings.BASE_DIR),
        "PYTHONUNBUFFERED": "1",
    }


def database_url() -> str:
    """Where this test's database is, as another process's DATABASE_URL."""
    from urllib.parse import quote

    from django.db import connection

    of = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{of['NAME']}"
    login = f"{quote(of['USER'])}:{quote(of['PASSWORD'])}@" if of["USER"] else ""
    host = quote(of["HOST"], safe="")
    port = f":{of['PORT']}" if of["PORT"] else ""
    scheme = {"postgresql": "postgres", "mysql": "mysql"}[connection.vendor]
    return f"{scheme}://{login}{host}{port}/{of['NAME']}"
