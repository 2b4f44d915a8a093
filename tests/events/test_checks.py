"""Each check has one test, named after its id, that asserts the whole message."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.core import checks
from django.db import connection
from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal
from pytest_django import Settings

from events import Event
from events.models import Delivery
from project.celery import app
from tests.events.conftest import Offloaded
from tests.shop.models import Item

held = Signal()


def receive(sender: Any, **kwargs: Any) -> None: ...


def receive_many(occurrences: Any) -> None: ...


LINE = f"{__file__}:{receive.__code__.co_firstlineno}"


def messages() -> list[tuple[str, str, str]]:
    found = checks.run_checks(tags=["offload"])
    return [(message.id or "", message.msg, message.hint or "") for message in found]


def levels() -> list[int]:
    return [message.level for message in checks.run_checks(tags=["offload"])]


def test_project__has_nothing_to_complain_of() -> None:
    assert messages() == []


def test_every_check__is_tested_here_by_its_id() -> None:
    sources = (Path(django_settings.BASE_DIR) / "events" / "checks").glob("*.py")
    declared = {
        line.partition('id="offload.')[2].partition('"')[0]
        for source in sources
        for line in source.read_text().splitlines()
        if 'id="offload.' in line
    }
    tested = {name.removeprefix("test_").partition("__")[0].upper() for name in globals()}
    assert declared <= tested, sorted(declared - tested)
    assert len(declared) > 20


def test_e001__unknown_key(settings: Settings) -> None:
    settings.EVENTS = {**settings.EVENTS, "QUEUE": ["default"]}
    assert messages() == [("offload.E001", "EVENTS has no key 'QUEUE'.", "Did you mean 'QUEUES'?")]
    assert levels() == [checks.ERROR]


def test_e001__unknown_key_like_no_other(settings: Settings) -> None:
    settings.EVENTS = {**settings.EVENTS, "xyz": 1}
    [(id_, message, hint)] = messages()
    assert (id_, message) == ("offload.E001", "EVENTS has no key 'xyz'.")
    assert hint.startswith("Its keys are DATABASES, MAX_DEAD_LETTER_AGE, ")


def test_e002__no_dict(settings: Settings) -> None:
    # Set without the settings' own signal: nothing else in this process should read it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_settings, "EVENTS", ["default"])
        from events.checks.settings import check_settings

        [found] = check_settings()
    assert found.id == "offload.E002"
    assert found.msg == "EVENTS must be a dict, got ['default']."
    assert found.hint == 'Write EVENTS = {"QUEUES": [...], ...}, or leave it out for the defaults.'


@pytest.mark.parametrize(
    ("key", "value", "wanted", "default"),
    [
        ("QUEUES", "default", "a list of texts", ("default",)),
        ("QUEUES", [1], "a list of texts", ("default",)),
        ("ROUTES", ["default"], "a dict of texts", {}),
        ("ROUTES", {"tests.x": 3}, "a dict of texts", {}),
        ("SOURCE", None, "a text", "/django"),
        ("RELAY", "yes", "True or False", True),
        ("WINDOW", 2.5, "a whole number above 0", 64),
        ("WINDOW", True, "a whole number above 0", 64),
        ("MAX_INLINE_BYTES", -1, "a whole number of 0 or more", 65536),
        ("TIME_LIMIT", 0, "a number above 0", 300.0),
        ("RETENTION_DAYS", "30", "a number above 0", 30.0),
        ("DATABASES", "default", "a list of texts or None", None),
    ],
)
def test_e002__wrong_value(settings: Settings, key: str, value: Any, wanted: str, default: Any) -> None:
    from events.checks.settings import check_settings

    settings.EVENTS = {**settings.EVENTS, key: value}
    [found] = check_settings()
    assert found.id == "offload.E002"
    assert found.msg == f"EVENTS[{key!r}] must be {wanted}, got {value!r}."
    assert found.hint == f"Its default is {default!r}; the comments in events/conf.py say what it is for."


@pytest.mark.parametrize(
    "given",
    [
        {"WINDOW": 1, "TIME_LIMIT": 30, "MAX_INLINE_BYTES": 0, "RELAY": False},
        {"DATABASES": None, "SENSITIVE_FIELDS": ("iban",)},
        {"DATABASES": ["default"]},
    ],
)
def test_e002__right_values_are_let_pass(settings: Settings, given: dict[str, Any]) -> None:
    settings.EVENTS = {**settings.EVENTS, **given}
    assert messages() == []


def test_e003__unknown_alias(settings: Settings) -> None:
    settings.EVENTS = {**settings.EVENTS, "DATABASES": ["default", "defualt"]}
    assert messages() == [
        (
            "offload.E003",
            "EVENTS['DATABASES'] names 'defualt', which is not in DATABASES.",
            "Did you mean 'default'?",
        )
    ]
    assert levels() == [checks.ERROR]


def test_e004__default_alias_without_relay(settings: Settings) -> None:
    settings.EVENTS = {**settings.EVENTS, "DATABASES": []}
    assert messages() == [
        (
            "offload.E004",
            "EVENTS['DATABASES'] lacks 'default'.",
            "Events of no alias in particular are stored there, and no relay would look at them: add it.",
        )
    ]


def test_e005__unknown_queue(offloaded: Offloaded) -> None:
    offloaded(receive, held, queue="thumbnails")
    assert messages() == [
        (
            "offload.E005",
            f"The receiver '{__name__}.receive' ({LINE}) runs on the queue 'thumbnails', "
            f"which is not in EVENTS['QUEUES'].",
            'Add it to EVENTS["QUEUES"], so that workers serve it, or send it to another by EVENTS["ROUTES"].',
        )
    ]
    assert levels() == [checks.ERROR]


def test_e005__misspelt_queue_is_suggested(offloaded: Offloaded) -> None:
    offloaded(receive, held, queue="email")
    assert [(id_, hint) for id_, _, hint in messages()] == [("offload.E005", "Did you mean 'emails'?")]


def test_e005__routes_decide(offloaded: Offloaded, settings: Settings) -> None:
    offloaded(receive, held, queue="thumbnails")
    settings.EVENTS = {**settings.EVENTS, "ROUTES": {f"{__name__}.*": "emails"}}
    assert messages() == []
    settings.EVENTS = {**settings.EVENTS, "ROUTES": {f"{__name__}.receive": "nowhere"}}
    [(id_, message, _)] = messages()
    assert id_ == "offload.E005"
    assert "'nowhere'" in message


def test_w001__route_for_nobody(settings: Settings) -> None:
    settings.EVENTS = {**settings.EVENTS, "ROUTES": {"nobody.at.*": "emails"}}
    assert messages() == [
        (
            "offload.W001",
            "EVENTS['ROUTES'] has 'nobody.at.*', which matches no receiver.",
            "Prefixes end in '*'; `manage.py events list` shows the receivers.",
        )
    ]
    assert levels() == [checks.WARNING]


def test_w001__misspelt_receiver_is_suggested(settings: Settings) -> None:
    settings.EVENTS = {**settings.EVENTS, "ROUTES": {"tests.shop.receivers.record_sav": "emails"}}
    assert [hint for _, _, hint in messages()] == ["Did you mean 'tests.shop.receivers.record_save'?"]


def test_e006__signal_without_a_name(offloaded: Offloaded) -> None:
    offloaded(receive, Signal())
    assert messages() == [
        (
            "offload.E006",
            f"The receiver '{__name__}.receive' listens to a signal that no module holds by a name: "
            f"a worker could not find it.",
            "Bind the signal to a name at module level, or give it one: Event('app.what_happened').",
        )
    ]
    assert levels() == [checks.ERROR]


def test_e006__name_at_module_level_is_found(offloaded: Offloaded) -> None:
    offloaded(receive, held)
    assert messages() == []


def test_e007__two_events_of_one_name(offloaded: Offloaded) -> None:
    offloaded(receive, Event("shop.twice", a=int))
    offloaded(receive_many, Event("shop.twice", b=int), many=True)
    assert messages() == [
        (
            "offload.E007",
            "2 events are called 'shop.twice': a worker could not tell which of them was sent.",
            "Declare it once and import it where it is needed, or rename one of them.",
        )
    ]
    assert levels() == [checks.ERROR]


def test_w002__model_that_never_emits(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Delivery)
    assert messages() == [
        (
            "offload.W002",
            f"The receiver '{__name__}.receive' listens to offload.Delivery, which never emits.",
            "The bus's own models and Celery's results stay silent, or handling an event would cause another.",
        )
    ]
    assert levels() == [checks.WARNING]


def test_w003__model_with_a_secret_for_a_key(offloaded: Offloaded) -> None:
    offloaded(receive, post_delete, sender=Session)
    assert messages() == [
        (
            "offload.W003",
            f"The receiver '{__name__}.receive' listens to sessions.Session, whose key 'session_key' is sensitive: "
            f"it doesn't travel, so the receiver can't know which row it is about.",
            "Give the model a key that is no secret, or send an event of your own with what is needed.",
        )
    ]
    assert levels() == [checks.WARNING]


def test_w004__no_atomic_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", False)
    assert messages() == [
        (
            "offload.W004",
            "DATABASES['default'] lacks ATOMIC_REQUESTS: outside atomic() Django sends post_save after the row is "
            "committed, so a process that dies just then keeps the row and loses the event.",
            "Set DATABASES['default']['ATOMIC_REQUESTS'] = True, or open transaction.atomic() around every "
            "write and silence this.",
        )
    ]
    assert levels() == [checks.WARNING]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite has transaction modes")
@pytest.mark.parametrize("options", [{}, {"transaction_mode": "DEFERRED"}, {"transaction_mode": None}])
def test_w005__sqlite_without_immediate(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    assert messages() == [
        (
            "offload.W005",
            "DATABASES['default'] lacks transaction_mode: on SQLite two transactions that read first and write then "
            "can only fail with 'database is locked'.",
            "Set DATABASES['default']['OPTIONS']['transaction_mode'] = 'IMMEDIATE'.",
        )
    ]
    assert levels() == [checks.WARNING]


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


def test_e015__visibility_timeout_missing(celery: Configure) -> None:
    celery("broker_transport_options", transport_options(visibility_timeout=None))
    [(id_, message, _)] = messages()
    assert id_ == "offload.E015"
    assert message.startswith("The broker's visibility_timeout is None, and a message may run for ")


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


def test_sender__that_no_app_has_is_found_by_django(offloaded: Offloaded) -> None:
    from django.apps import apps

    offloaded(receive, post_save, sender="shop.Itme")
    try:
        found = [str(message.msg) for message in checks.run_checks(tags=["models"])]
    finally:
        del apps._pending_operations["shop", "itme"]
    [message] = found
    assert f"offload of '{__name__}.receive'" in message
    assert message.endswith(
        "contains a lazy reference to shop.itme, but app 'shop' doesn't provide model 'itme'."
    )


def test_sender__by_name_is_the_model(offloaded: Offloaded) -> None:
    from events.registry import registry

    offloaded(receive, post_save, sender="shop.Item")
    assert [b.sender for b in registry.bindings() if b.receiver.function is receive] == [Item]
