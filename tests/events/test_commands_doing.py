"""`manage.py events retry | replay | pause | resume | prune | forget`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from events import pauses
from events.models import Delivery, EventRecord, PausedReceiver, Queue, State
from events.testing import Drained, drain
from tests.events.conftest import Offloaded
from tests.events.operating import FRAGILE, bury, mend, offload_fragile, run
from tests.shop.models import Item

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def one_database(settings: Settings, offloaded: Offloaded) -> Iterator[None]:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("default",)}
    offload_fragile(offloaded)
    yield
    # What this process has read is rolled back with the test.
    pauses._known.clear()


def states(*rows: Delivery) -> list[str]:
    return [Delivery.objects.get(pk=row.pk).state for row in rows]


# --- retry ------------------------------------------------------------------------------------------------


def test_retry__one__runs_again() -> None:
    first, second = bury("1", "2")
    mend()
    assert "1 delivery redelivered." in run("retry", first.pk)
    assert drain() == Drained(done=1)
    assert states(first, second) == [State.DONE, State.DEAD]


def test_retry__by_event() -> None:
    (row,) = bury()
    run("retry", row.event_id)
    assert states(row) == [State.WAITING]


def test_retry__receiver__with_a_limit__the_oldest() -> None:
    rows = bury("1", "2", "3")
    assert "2 deliveries redelivered." in run("retry", "--receiver", FRAGILE, "--limit", 2)
    assert states(*rows) == [State.WAITING, State.WAITING, State.DEAD]


def test_retry__all() -> None:
    rows = bury("1", "2")
    run("retry", "--all")
    assert states(*rows) == [State.WAITING] * 2


def test_retry__one_bad_id__stops_nothing_and_is_reported() -> None:
    (row,) = bury()
    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError, match="2 of 3 ids named no dead letter"):
        call_command("events", "retry", "nonsense", str(row.pk), "999999", stdout=out, stderr=err)
    assert states(row) == [State.WAITING]
    assert "1 delivery redelivered." in out.getvalue()
    assert "nonsense is neither" in err.getvalue()
    assert "999999 is not in the database" in err.getvalue()


@pytest.mark.parametrize("arguments", [[], ["1", "--all"], ["--all", "--receiver", FRAGILE]])
def test_retry__not_said_which__is_an_error(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="Say which: ids, or --receiver NAME, or --all"):
        run("retry", *arguments)


def test_retry__unknown_receiver__is_an_error() -> None:
    with pytest.raises(CommandError, match="No receiver is called 'nobody'"):
        run("retry", "--receiver", "nobody")


@pytest.mark.django_db(databases=["default", "other"])
def test_retry__two_databases__ask_which(settings: Settings) -> None:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("default", "other")}
    (row,) = bury()
    with pytest.raises(CommandError, match="add --database, one of default, other"):
        run("retry", row.pk)
    run("retry", row.pk, "--database", "default")
    assert states(row) == [State.WAITING]


@pytest.mark.django_db(databases=["default", "other"])
def test_retry__two_databases__an_event_is_found_in_either(settings: Settings) -> None:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("other", "default")}
    (row,) = bury()
    assert "1 delivery redelivered." in run("retry", row.event_id)


# --- replay -----------------------------------------------------------------------------------------------


def test_replay__dry_run__counts_and_changes_nothing() -> None:
    Item.objects.create(title="x")
    drain()
    assert "1 event: 2 deliveries would be delivered again." in run(
        "replay", "--type", "shop.item.created", "--dry-run"
    )
    assert drain() == Drained()


def test_replay__delivers_again() -> None:
    Item.objects.create(title="x")
    drain()
    assert "1 event: 2 deliveries are delivered again." in run("replay", "--since", "1h")
    assert drain() == Drained(done=2)


def test_replay__until_before_it__nothing() -> None:
    Item.objects.create(title="x")
    drain()
    (total,) = json.loads(run("replay", "--until", "2020-01-01T12:00", "--json"))
    assert total == {"events": 0, "again": {}, "new": {}, "unfinished": 0, "forgotten": 0, "dry_run": False}


def test_replay__of_everything__is_not_done_by_accident() -> None:
    with pytest.raises(CommandError, match="Say which events"):
        run("replay")


def test_replay__unknown_receiver__is_an_error() -> None:
    with pytest.raises(CommandError, match="no receiver 'nobody'"):
        run("replay", "--receiver", "nobody")


@pytest.mark.parametrize("when", ["yesterday", "2026-13-01", "7y", ""])
def test_replay__no_time__is_an_error(when: str) -> None:
    with pytest.raises(CommandError, match="--since"):
        run("replay", "--since", when)


# --- pause, resume ----------------------------------------------------------------------------------------


def test_pause__queue__holds_until_resume() -> None:
    assert "queue default is paused." in run("pause", "default")
    assert Queue.objects.get(name="default").paused
    assert "queue default goes on." in run("resume", "default")
    assert not Queue.objects.get(name="default").paused


def test_pause__receiver() -> None:
    assert f"receiver {FRAGILE} is paused." in run("pause", FRAGILE)
    assert PausedReceiver.objects.filter(name=FRAGILE).exists()
    run("resume", FRAGILE)
    assert not PausedReceiver.objects.exists()


def test_pause__twice__says_so() -> None:
    run("pause", "default")
    assert "queue default was paused already." in run("pause", "default")


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_pause__unknown__is_an_error(command: str) -> None:
    with pytest.raises(CommandError, match="No queue or receiver is called 'mails'"):
        run(command, "mails")


# --- prune ------------------------------------------------------------------------------------------------


def test_prune__what_finished_long_ago_goes() -> None:
    Item.objects.create(title="old")
    drain()
    EventRecord.objects.update(emitted_at=timezone.now() - timedelta(days=31))
    Item.objects.create(title="new")
    drain()
    assert "1 event of more than 30 days deleted" in run("prune")
    assert EventRecord.objects.count() == 1
    assert Delivery.objects.count() == 2


def test_prune__dead_letters_stay() -> None:
    bury()
    EventRecord.objects.update(emitted_at=timezone.now() - timedelta(days=31))
    assert "0 events" in run("prune")


@pytest.mark.parametrize("days", ["-1", "nan", "1e9"])
def test_prune__no_sensible_age__is_an_error(days: str) -> None:
    with pytest.raises(CommandError, match="--days"):
        run("prune", f"--days={days}")


# --- forget -----------------------------------------------------------------------------------------------


def test_forget__blanks_and_counts() -> None:
    item = Item.objects.create(title="private")
    drain()
    assert "1 event blanked; 0 deliveries ended as skipped." in run("forget", f"shop.item/{item.pk}")
    assert "private" not in EventRecord.objects.get().envelope


def test_forget__dry_run__changes_nothing() -> None:
    item = Item.objects.create(title="private")
    drain()
    assert "1 event would be blanked." in run("forget", f"shop.item/{item.pk}", "--dry-run")
    assert "private" in EventRecord.objects.get().envelope


def test_forget__no_subject__is_an_error() -> None:
    with pytest.raises(CommandError, match="'42' is no subject"):
        run("forget", "42")


def test_forget__misspelt_model__is_an_error() -> None:
    Item.objects.create(title="private")
    with pytest.raises(CommandError) as caught:
        run("forget", "library.user/1")
    assert str(caught.value) == (
        "No event names library.user/1, and no model is called 'library.user'. Did you mean auth.user?"
    )


def test_forget__misspelt_model__is_an_error_whatever_else_its_key_is_in() -> None:
    Item.objects.create(title="42")
    drain()
    for options in ([], ["--dry-run"]):
        out = StringIO()
        with pytest.raises(CommandError, match=r"^No event names library\.user/42, and no model is called"):
            call_command("events", "forget", "library.user/42", *options, stdout=out)
        assert not out.getvalue()


def test_forget__its_examples_name_a_model_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("forget", "--help")
    named = set(re.findall(r"(\w+\.\w+)/42", capsys.readouterr().out))
    assert named == {User._meta.label_lower}


def test_forget__model_that_is_gone__is_none_where_events_name_it() -> None:
    Item.objects.create(title="private")
    drain()
    EventRecord.objects.update(subject="removed.item/1")
    assert "1 event blanked" in run("forget", "removed.item/1")
    assert "0 events blanked" in run("forget", "removed.item/1")
