"""Each check has one test, named after its id, that asserts the whole message."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.core import checks
from django.db import connection, connections
from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal
from pytest_django import Settings

from events import Event
from events.checks.databases import check_databases
from events.models import Delivery
from tests.events import test_checks_celery, test_upcasting
from tests.events.checking import levels, messages
from tests.events.conftest import Offloaded
from tests.shop.models import Item

held = Signal()


def receive(sender: Any, **kwargs: Any) -> None: ...


def receive_many(occurrences: Any) -> None: ...


LINE = f"{__file__}:{receive.__code__.co_firstlineno}"


pytestmark = pytest.mark.usefixtures("exemplary_databases")


def test_project__gives_no_cause_for_complaint() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--fail-level", "WARNING"],
        cwd=django_settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "no issues (0 silenced)" in done.stdout, done.stderr


def test_tests__give_no_cause_for_complaint() -> None:
    assert messages() == []


def test_every_check__is_tested_by_its_id() -> None:
    sources = (Path(django_settings.BASE_DIR) / "events" / "checks").glob("*.py")
    declared = {
        line.partition('id="offload.')[2].partition('"')[0]
        for source in sources
        for line in source.read_text().splitlines()
        if 'id="offload.' in line
    }
    names = {*globals(), *vars(test_checks_celery), *vars(test_upcasting)}
    tested = {name.removeprefix("test_").partition("__")[0].upper() for name in names}
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
    assert hint.startswith("Its keys are DATABASES, KILL_SWITCH_PROBE, ")


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
            "Set DATABASES['default']['ATOMIC_REQUESTS'] = True, or let the models inherit events.AtomicSave, or "
            "open transaction.atomic() around every write; and silence this.",
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


def test_w010__database_without_an_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["other"].settings_dict["TEST"], "MIRROR", None)
    assert messages() == [
        (
            "offload.W010",
            "DATABASES['other'] has no outbox: what its transactions emit is stored on 'default', stays there when "
            "they roll back, and may be lost when they commit.",
            "Let the routers migrate the app offload to it and name 'other' in EVENTS['DATABASES'], or silence "
            "this where nothing on it emits.",
        )
    ]
    assert levels() == [checks.WARNING]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="nothing else prepares")
def test_w011__statements_prepared_behind_a_pooler(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    settings.EVENTS = settings.EVENTS | {"PREPARED_STATEMENTS": False}
    assert messages() == []
    settings.EVENTS = settings.EVENTS | {"PREPARED_STATEMENTS": True}
    assert messages() == [
        (
            "offload.W011",
            "DATABASES['default'] has DISABLE_SERVER_SIDE_CURSORS, as behind a PgBouncer that lends connections for a "
            "transaction: what is prepared on one is asked of another.",
            "Set EVENTS['PREPARED_STATEMENTS'] = False, or silence this where PgBouncer has max_prepared_statements.",
        )
    ]
    assert levels() == [checks.WARNING]


@pytest.mark.skipif(connection.vendor == "postgresql", reason="it has time zones")
def test_w012__times_without_a_zone(settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    assert messages() == []
    settings.USE_TZ = False
    assert messages() == [
        (
            "offload.W012",
            "USE_TZ is False, and DATABASES['default'] has no time zones: its now is UTC, and Django reads it as "
            "Asia/Tokyo. Deliveries are on time; times on pages and in metrics are off.",
            "Set USE_TZ = True.",
        )
    ]
    assert levels() == [checks.WARNING]


@pytest.mark.skipif(connection.vendor != "mysql", reason="elsewhere every isolation level will do")
@pytest.mark.parametrize("level", ["repeatable read", "READ UNCOMMITTED", None])
def test_w008__mysql_without_read_committed(monkeypatch: pytest.MonkeyPatch, level: str | None) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "isolation_level", level)
    assert messages() == [
        (
            "offload.W008",
            "DATABASES['default'] has an isolation_level other than 'read committed': MySQL then locks the gaps "
            "between rows, so that receivers wait for each other, and a claim sees events that were pruned before it.",
            "Set DATABASES['default']['OPTIONS']['isolation_level'] = 'read committed', Django's default.",
        )
    ]
    assert levels() == [checks.WARNING]


@pytest.mark.skipif(
    connection.vendor != "mysql", reason="elsewhere Django sets the time zone, or there is none"
)
@pytest.mark.django_db
def test_w009__mysql_with_a_time_zone_of_its_own() -> None:
    assert check_databases(databases=["default"]) == []
    with connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+05:30'")
    try:
        [message] = check_databases(databases=["default"])
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
    assert (message.id, message.level, message.msg, message.hint) == (
        "offload.W009",
        checks.WARNING,
        "The clock of DATABASES['default'] is +5.5 h off: MySQL's now has the time zone of its session, and Django "
        "reads it as UTC. Where that zone has summer time, retries and the relay stand still for an hour when it ends.",
        "Set DATABASES['default']['OPTIONS']['init_command'] = \"SET time_zone = '+00:00'\".",
    )


@pytest.mark.django_db(databases=["default", "other"])  # Django 6.1 asks each what it can
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
