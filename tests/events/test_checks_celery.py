"""Celery's settings: each check has one test, named after its id, that asserts the whole message."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from django.conf import settings as django_settings
from django.core import checks
from django.dispatch import Signal

from project.celery import app
from tests.brokers import about_redis
from tests.events.checking import levels, messages
from tests.events.conftest import Offloaded

pytestmark = pytest.mark.usefixtures("exemplary_databases")

held = Signal()


def receive(sender: Any, **kwargs: Any) -> None: ...


PROGRAM = """
import threading
from django.conf import settings
settings.configure(
    SECRET_KEY="k", USE_TZ=True, INSTALLED_APPS=["events"],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "ATOMIC_REQUESTS": True,
                           "OPTIONS": {{"transaction_mode": "IMMEDIATE"}}}}}},
)
import django
django.setup()
{before}
from django.core import checks
for message in checks.run_checks(tags=["offload"]):
    print(message.id, message.msg, message.hint, sep="\\n")
"""


@pytest.mark.parametrize("before", ["", "from celery import Celery\napp = Celery('of_this_thread')"])
def test_e010__no_app_for_other_threads(before: str) -> None:
    program = PROGRAM.format(before=before)
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environ, "PYTHONPATH": str(django_settings.BASE_DIR)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == (
        "offload.E010\n"
        "A new thread doesn't find the project's Celery app, so what it emits would go to no broker.\n"
        "Call app.set_default() where the app is made, and import it in the project's __init__.py.\n"
    ), done.stderr


Configure = Callable[[str, Any], None]


@pytest.fixture
def celery(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Change one of Celery's settings, in the real app, for the length of a test."""
    return lambda name, value: monkeypatch.setitem(app.conf, name, value)


def test_e011__pickle_accepted(celery: Configure) -> None:
    celery("accept_content", ["json", "pickle"])
    assert messages() == [
        (
            "offload.E011",
            "Celery's accept_content is ['json', 'pickle']: messages of the bus are JSON, and a worker that takes "
            "pickle runs whatever the broker holds.",
            "Set CELERY_ACCEPT_CONTENT = ['json'].",
        )
    ]
    assert levels() == [checks.ERROR]


def test_e011__pickle_sent(celery: Configure) -> None:
    celery("task_serializer", "pickle")
    assert messages() == [
        (
            "offload.E011",
            "Celery's task_serializer is 'pickle': messages of the bus are JSON, and a worker that takes "
            "pickle runs whatever the broker holds.",
            "Set CELERY_TASK_SERIALIZER = 'json'.",
        )
    ]


def test_e011__media_type_is_json_too(celery: Configure) -> None:
    celery("accept_content", {"application/json"})
    assert messages() == []


def test_e012__acknowledged_early(celery: Configure) -> None:
    celery("task_acks_late", False)
    assert messages() == [
        (
            "offload.E012",
            "Celery's task_acks_late is off: a message would be gone from the broker before it is worked off.",
            "Set CELERY_TASK_ACKS_LATE = True.",
        )
    ]
    assert levels() == [checks.ERROR]


def test_e013__rejected_on_worker_lost(celery: Configure) -> None:
    celery("task_reject_on_worker_lost", True)
    assert messages() == [
        (
            "offload.E013",
            "Celery's task_reject_on_worker_lost is on: a receiver that ends its process would run again and again.",
            "Set CELERY_TASK_REJECT_ON_WORKER_LOST = False: the relay brings it back, and counts its tries.",
        )
    ]
    assert levels() == [checks.ERROR]


def test_e014__prefetching(celery: Configure) -> None:
    celery("worker_prefetch_multiplier", 4)
    assert messages() == [
        (
            "offload.E014",
            "Celery's worker_prefetch_multiplier is 4: messages would wait behind a slow one while other processes "
            "are idle.",
            "Set CELERY_WORKER_PREFETCH_MULTIPLIER = 1; one message carries many events.",
        )
    ]
    assert levels() == [checks.ERROR]


def transport_options(**changed: Any) -> dict[str, Any]:
    options = {**app.conf.broker_transport_options, **changed}
    return {name: value for name, value in options.items() if value is not None}


@about_redis
def test_e015__visibility_timeout_missing(celery: Configure) -> None:
    celery("broker_transport_options", transport_options(visibility_timeout=None))
    [(id_, message, _)] = messages()
    assert id_ == "offload.E015"
    assert message.startswith("The broker's visibility_timeout is None, and a message may run for ")


@about_redis
def test_e015__visibility_timeout_not_above_the_longest_message(
    celery: Configure, offloaded: Offloaded
) -> None:
    offloaded(receive, held, time_limit=4000)
    assert messages() == [
        (
            "offload.E015",
            "The broker's visibility_timeout is 3600, and a message may run for 4005 seconds: the broker would hand "
            "it out a second time.",
            "Set CELERY_BROKER_TRANSPORT_OPTIONS['visibility_timeout'] above 4005, or give receivers a shorter "
            "time_limit.",
        )
    ]
    celery("broker_transport_options", transport_options(visibility_timeout=4005))
    assert [id_ for id_, _, _ in messages()] == ["offload.E015"]
    celery("broker_transport_options", transport_options(visibility_timeout=4006))
    assert messages() == []


@about_redis
@pytest.mark.parametrize("name", ["socket_timeout", "socket_connect_timeout"])
def test_e016__broker_may_hang(celery: Configure, name: str) -> None:
    celery("broker_transport_options", transport_options(**{name: None}))
    assert messages() == [
        (
            "offload.E016",
            f"The broker's {name} is not set: a broker that accepts and never answers would block for ever.",
            f"Set CELERY_BROKER_TRANSPORT_OPTIONS['{name}'] = 1.0 (seconds).",
        )
    ]
    assert levels() == [checks.ERROR]


def test_e016__asks_nothing_of_another_broker(celery: Configure) -> None:
    celery("broker_transport_options", {})
    celery("broker_url", "amqp://localhost")
    assert messages() == []


def test_e020__broker_that_nobody_can_look_into(celery: Configure) -> None:
    celery("broker_url", "memory://")
    assert messages() == [
        (
            "offload.E020",
            "The broker's transport is 'memory': the relay can look into Redis, Valkey and RabbitMQ alone, and would "
            "not find what another lost.",
            "Set CELERY_BROKER_URL to redis://… or amqp://….",
        )
    ]
    assert levels() == [checks.ERROR]


def test_e017__connections_closed_around_every_message(celery: Configure) -> None:
    celery("CELERY_DB_REUSE_MAX", None)
    assert messages() == [
        (
            "offload.E017",
            "CELERY_DB_REUSE_MAX is not set: Celery would close the database connection around every message, "
            "whatever CONN_MAX_AGE says.",
            "Set CELERY_DB_REUSE_MAX = 1000 (messages before a connection is renewed).",
        )
    ]


@pytest.mark.parametrize("namespace", ["CELERY", None])
def test_e017__found_as_celery_finds_it(namespace: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    from events.checks.celery_settings import _connections

    other = Celery("other", set_as_current=False)
    other.config_from_object({"CELERY_DB_REUSE_MAX": 5}, namespace=namespace)
    assert list(_connections(other)) == []
    bare = Celery("bare", set_as_current=False)
    assert [message.id for message in _connections(bare)] == ["offload.E017"]


def test_e018__rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.tasks["tests.shop.receivers.record_save"], "rate_limit", "10/m")
    assert messages() == [
        (
            "offload.E018",
            "The receiver 'tests.shop.receivers.record_save' has rate_limit '10/m': it would count messages, which "
            "carry many events each.",
            "Remove it from task_annotations and task_default_rate_limit; use the concurrency of a queue of its own "
            "instead.",
        )
    ]
    assert levels() == [checks.ERROR]


@pytest.mark.parametrize(
    "given",
    [
        {"task_default_rate_limit": "5/s"},
        {"task_annotations": {"tests.shop.receivers.record_save": {"rate_limit": "5/s"}}},
    ],
)
def test_e018__rate_limit_from_the_settings_of_an_app(given: dict[str, Any]) -> None:
    from events.checks.celery_settings import _rates

    other = Celery("limited", set_as_current=False)
    other.conf.update(given)
    found = " ".join(message.msg for message in _rates(other))
    assert "'tests.shop.receivers.record_save' has rate_limit '5/s'" in found


def test_w006__processes_live_for_ever(celery: Configure) -> None:
    celery("worker_max_tasks_per_child", None)
    assert messages() == [
        (
            "offload.W006",
            "Celery's worker_max_tasks_per_child is not set: memory that a receiver leaks is never given back.",
            "Set CELERY_WORKER_MAX_TASKS_PER_CHILD = 10_000 (messages).",
        )
    ]
    assert levels() == [checks.WARNING]
