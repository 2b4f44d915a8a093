"""`manage.py events list | flow | catalog | status | tail | trace | failed | doctor`."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from events.clock import after
from events.management.console import plural
from events.management.subcommands import SUBCOMMANDS
from events.models import Delivery, EventRecord, Meter, PausedReceiver, Queue, Refusal, State, Worker
from events.registry import registry
from events.relay.lease import LEASE
from events.relay.metering import METER
from events.testing import drain
from events.texts import duration
from project.dev.broker import Broker
from tests.events.conftest import Offloaded
from tests.events.operating import FRAGILE, broker_away, bury, offload_fragile, run
from tests.shop.models import Item

# Django 6.1's checks, which `doctor` runs, ask each database what it can.
pytestmark = pytest.mark.django_db(databases=["default", "other"])


@pytest.fixture(autouse=True)
def one_database(settings: Settings) -> None:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("default",)}


@pytest.fixture
def dead(offloaded: Offloaded) -> list[Delivery]:
    offload_fragile(offloaded)
    return bury("1", "2")


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help__each_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(name, "--help")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"events {name}" in said
    assert (SUBCOMMANDS[name].description or SUBCOMMANDS[name].help).splitlines()[0] in said


@pytest.mark.parametrize("name", ["list", "catalog", "status", "failed", "doctor", "flow"])
def test_json__is_the_only_output(name: str, dead: list[Delivery], healthy: None) -> None:
    assert json.loads(run(name, "--json"))


@pytest.mark.parametrize(
    "arguments",
    [
        *("list", "flow", "catalog", "status", "failed", "tail --limit 1", "doctor"),
        *("retry --all", "replay --since 1d", "pause emails", "resume emails", "prune", "forget auth.user/1"),
    ],
)
def test_end__names_the_next_command(arguments: str, dead: list[Delivery], healthy: None) -> None:
    assert "Next: manage.py events" in run(*arguments.split()).splitlines()[-1]


def test_end__of_a_trace_names_the_next_command(dead: list[Delivery]) -> None:
    assert run("trace", str(dead[0].pk)).splitlines()[-1] == f"Next: manage.py events retry {dead[0].pk}"


def test_end__of_a_dry_run_names_the_real_one(dead: list[Delivery]) -> None:
    for arguments in ("replay --since 1d", "prune", "forget auth.user/1"):
        last = run(*arguments.split(), "--dry-run").splitlines()[-1]
        assert last == "Next: the same without --dry-run"


def test_list__shows_receiver_queue_and_guarantee() -> None:
    line = next(line for line in run("list").splitlines() if "shop.receivers.mail_save" in line)
    assert line.split() == [
        "post_save",
        "shop.Item",
        "tests.shop.receivers.mail_save",
        "audit",
        *["at", "least", "once"],
    ]


def test_flow__unknown_app__is_an_error() -> None:
    with pytest.raises(CommandError, match="No installed app is labelled 'nope'"):
        run("flow", "--app", "nope")


def test_unknown_database__is_an_error() -> None:
    with pytest.raises(CommandError, match="'nope' has no outbox; these have one: default"):
        run("status", "--database", "nope")


def test_failed__says_who_what_and_why(dead: list[Delivery]) -> None:
    said = run("failed")
    assert f"{dead[0].pk}  {FRAGILE}  tests.strained" in said
    assert "2 tries" in said
    assert "ValueError: not mended: 1" in said
    assert f"{dead[1].fingerprint}  2 " in said
    assert "ValueError: not mended: <n>" in said
    assert f"Next: manage.py events retry {dead[1].pk}" in said


def test_failed__limit__the_latest(dead: list[Delivery]) -> None:
    assert [row["id"] for row in json.loads(run("failed", "--limit", 1, "--json"))] == [dead[1].pk]


def test_failed__unknown_receiver__is_an_error() -> None:
    with pytest.raises(CommandError, match="No receiver is called 'nobody'"):
        run("failed", "--receiver", "nobody")


def test_failed__none__says_so() -> None:
    assert "There are no dead letters." in run("failed")


def test_trace__prints_the_tree(dead: list[Delivery]) -> None:
    EventRecord.objects.filter(pk=dead[1].event_id).update(
        causation_id=dead[0].event_id, correlation_id=dead[0].event_id
    )
    lines = run("trace", dead[1].pk).splitlines()
    assert lines[0].startswith("tests.strained")
    assert lines[1] == f"  -> {FRAGILE}: dead letter after 2 failed tries: ValueError: not mended: 1"
    assert lines[2].startswith("  tests.strained")
    assert lines[2].endswith("<- this one")
    assert lines[3].startswith("    -> ")


def test_trace__json__is_nested(dead: list[Delivery]) -> None:
    (root,) = json.loads(run("trace", dead[0].event_id, "--json"))
    assert root["deliveries"][0]["state"] == "dead"
    assert root["caused"] == []


def test_trace__unknown__is_an_error() -> None:
    with pytest.raises(CommandError, match="'nothing' is no id"):
        run("trace", "nothing")


def test_tail__a_line_for_each_delivery(dead: list[Delivery]) -> None:
    said = run("tail", "--limit", 2)
    assert said.count(f"-> {FRAGILE}: dead letter after 2 failed tries: ValueError") == 2


def test_tail__json__one_object_a_line(dead: list[Delivery]) -> None:
    lines = run("tail", "--limit", 2, "--json").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [row.pk for row in dead]


def test_status__one_screen(dead: list[Delivery]) -> None:
    said = run("status")
    assert "2 in the last minute" in said
    assert f"2 dead letters of {FRAGILE}" in said
    assert "none alive" in said
    assert len(said.splitlines()) < 30


def test_status__paused_queue__shows() -> None:
    Queue.objects.create(name="emails", paused=True)
    line = next(line for line in run("status").splitlines() if line.startswith("emails"))
    assert line.endswith("paused")


def test_status__paused_receiver__shows() -> None:
    PausedReceiver.objects.create(name=FRAGILE)
    assert f"paused: {FRAGILE}" in run("status")


# --- doctor -----------------------------------------------------------------------------------------------


@pytest.fixture
def healthy(broker: Broker, exemplary_databases: None) -> None:
    """A worker that gives signs of life and knows everything, and a broker."""
    queues = sorted({receiver.route() for receiver in registry})
    Worker.objects.create(pk="w", queues=queues, receivers=registry.names())


def levels(*wanted: str) -> list[str]:
    return [row["what"] for row in doctor() if row["level"] in wanted]


def doctor() -> list[dict[str, Any]]:
    out = StringIO()
    with suppress(CommandError):
        call_command("events", "doctor", "--json", stdout=out)
    found: list[dict[str, Any]] = json.loads(out.getvalue())
    return found


@pytest.mark.usefixtures("healthy")
def test_doctor__all_well__finds_nothing() -> None:
    assert levels("error", "warning", "note") == []
    assert "0 errors, 0 warnings." in run("doctor")


def test_doctor__error__ends_with_one() -> None:
    out = StringIO()
    with broker_away(), pytest.raises(CommandError, match="2 errors"):
        call_command("events", "doctor", stdout=out)
    assert out.getvalue().splitlines()[-1] == "Next: manage.py events doctor, again"


def test_doctor__broker_away() -> None:
    with broker_away():
        assert any("the broker does not answer" in what for what in levels("error"))


@pytest.mark.usefixtures("healthy")
def test_doctor__no_worker() -> None:
    Worker.objects.update(beat_at=timezone.now() - timedelta(minutes=5))
    assert levels("error") == ["no worker gives a sign of life"]


@pytest.mark.usefixtures("healthy")
def test_doctor__queue_without_worker() -> None:
    worker = Worker.objects.get()
    worker.queues.remove("emails")
    worker.save()
    assert levels("error") == ["no worker serves queue 'emails'"]


@pytest.mark.usefixtures("healthy")
def test_doctor__receiver_no_worker_knows() -> None:
    worker = Worker.objects.get()
    worker.receivers.remove("tests.shop.receivers.mail_save")
    worker.save()
    assert levels("error") == ["no worker of queue 'audit' knows receiver 'tests.shop.receivers.mail_save'"]


@pytest.mark.usefixtures("healthy")
def test_doctor__delivery_of_a_receiver_that_is_gone() -> None:
    Item.objects.create(title="x")
    drain()
    Delivery.objects.filter(queue="audit").update(receiver="gone.receiver", state=State.WAITING)
    assert levels("error") == ["no worker of queue 'audit' knows receiver 'gone.receiver': 1 delivery waits"]


@pytest.mark.usefixtures("healthy")
def test_doctor__receiver_that_some_workers_know() -> None:
    worker = Worker.objects.get()
    other = Worker.objects.create(
        id="old@here#1",
        queues=["audit"],
        receivers=[name for name in worker.receivers if name != "tests.shop.receivers.mail_save"],
    )
    [found] = [row for row in doctor() if row["level"] == "warning"]
    assert found["what"] == "1 of 2 workers of queue 'audit' know receiver 'tests.shop.receivers.mail_save'"
    assert found["remedy"].endswith(f"Restart them with the code that has it: {other.id}")


@pytest.mark.usefixtures("healthy")
def test_status__deliveries_of_a_receiver_that_no_worker_knows() -> None:
    Item.objects.create(title="x")
    drain()
    Delivery.objects.filter(queue="audit").update(receiver="gone.receiver", state=State.WAITING)
    assert "1 delivery of gone.receiver: no live worker of audit knows it" in run("status")
    [figures] = json.loads(run("status", "--json", "--database", "default"))
    assert figures["unserved"] == [{"queue": "audit", "receiver": "gone.receiver", "deliveries": 1}]


@pytest.mark.usefixtures("healthy")
def test_doctor__events_left_lying__no_relay() -> None:
    Item.objects.create(title="x")
    drain()
    EventRecord.objects.update(next_at=timezone.now() - timedelta(minutes=1))
    assert levels("error") == ["1 events are due for more than 30 s: no relay runs"]


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("sign", ["meter", "lease"])
def test_doctor__events_left_lying_while_a_relay_works_on_them__is_no_error(sign: str) -> None:
    Item.objects.create(title="x")
    drain()
    EventRecord.objects.update(next_at=timezone.now() - timedelta(minutes=4, seconds=1))
    if sign == "meter":
        Meter.objects.create(name=METER)
    else:
        Queue.objects.create(name="default", lease_owner="one", lease_until=after(LEASE))
    assert levels("error") == []
    assert levels("warning") == [
        "1 events are due for more than 30 s, the oldest for 4 min: a relay works on them"
    ]


@pytest.mark.usefixtures("healthy")
def test_doctor__events_left_lying_by_a_relay_that_died__no_relay() -> None:
    Item.objects.create(title="x")
    drain()
    EventRecord.objects.update(next_at=after(-60))
    Meter.objects.create(name=METER)
    Meter.objects.update(read_at=after(-40))
    Queue.objects.create(name="default", lease_owner="one", lease_until=after(-30))
    assert levels("error") == ["1 events are due for more than 30 s: no relay runs"]


@pytest.mark.usefixtures("healthy")
def test_doctor__nobody_counts() -> None:
    Meter.objects.create(name=METER)
    assert levels("warning") == []
    Meter.objects.update(read_at=timezone.now() - timedelta(minutes=10))
    assert levels("warning") == [
        "the figures of health page and metrics are 10 min old: no relay counts what ends"
    ]


@pytest.mark.usefixtures("healthy")
def test_doctor__old_dead_letters(dead: list[Delivery]) -> None:
    Worker.objects.update(receivers=registry.names())
    assert levels("note") == ["there are dead letters"]
    Delivery.objects.update(finished_at=timezone.now() - timedelta(days=15))
    assert levels("warning") == ["2 dead letters are older than 14 days"]


def hear(sender: Any, **kwargs: Any) -> None: ...


@pytest.mark.usefixtures("healthy")
def test_doctor__what_could_not_be_captured_is_counted(offloaded: Offloaded) -> None:
    offloaded(hear, user_logged_in)
    user = User.objects.create(username="ann")
    for device in (object(), object(), "one that travels"):
        user_logged_in.send(sender=User, request=None, user=user, device=device)
    drain()
    assert levels("warning") == [
        "2 of the latest 10,000 events lack 'device' of django.user_logged_in, which could not be captured"
    ]


@pytest.mark.usefixtures("healthy")
def test_doctor__refusals() -> None:
    Refusal.objects.create(reason="a forged message")
    (what,) = levels("warning")
    assert what.endswith("because a forged message")


@pytest.mark.usefixtures("healthy")
def test_doctor__pauses() -> None:
    Queue.objects.create(name="emails", paused=True)
    assert levels("note") == ["emails is paused"]


@pytest.mark.usefixtures("healthy")
def test_doctor__migration_not_applied() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'offload'")
    (what,) = levels("error")
    assert what.startswith("database 'default' lacks")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0121, "12 ms"), (59, "59 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_duration__in_the_unit_a_person_would_choose(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plural__of_words_in_y() -> None:
    assert [plural(1, "try"), plural(2, "try"), plural(0, "delivery"), plural(3, "event")] == [
        *("1 try", "2 tries", "0 deliveries", "3 events")
    ]
