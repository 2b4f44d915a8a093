"""Old and new code side by side: web processes and workers of two versions of an app, on one database and broker."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import itemgetter
from typing import Any

import pytest
from django.db import connection, migrations, models
from django.db.migrations.state import ProjectState
from django.test import override_settings
from django_celery_results.models import TaskResult

from events import transport
from events.message import Message
from events.models import UNFINISHED, Delivery, EventRecord, Refusal, State
from events.operations.diagnosing import diagnose
from events.operations.redelivering import redeliver
from project.celery import app
from project.dev.broker import Broker
from tests import brokers
from tests.processes.conftest import ROOT, Start, WorkerProcess, wait_for
from tests.shop.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)
# Django 6.1's system checks ask each database what it can.
diagnosing = pytest.mark.django_db(transaction=True, databases=["default", "other"])

OLD, NEW = "old", "new"
HERE = "depot.receivers"
SAVES = 10


def version(code: str) -> dict[str, str]:
    path = ROOT / "tests" / "deploy" / code
    return {"PYTHONPATH": f"{ROOT}:{path}", "DJANGO_SETTINGS_MODULE": "tests.deploy.settings"}


@pytest.fixture(autouse=True)
def depot_tables() -> Iterator[None]:
    """With the columns of both versions, as in the middle of a deploy: those of one alone have a default."""
    make = migrations.CreateModel(
        "Parcel",
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("title", models.CharField(max_length=50)),
            ("weight", models.CharField(max_length=20)),
            ("colour", models.CharField(max_length=20, db_default="red")),
            ("fragile", models.BooleanField(db_default=True)),
        ],
    )
    before, after = ProjectState(), ProjectState()
    make.state_forwards("depot", after)
    with connection.schema_editor() as editor:
        make.database_forwards("depot", editor, before, after)
    yield
    with connection.schema_editor() as editor:
        make.database_backwards("depot", editor, after, before)


Web = Callable[..., None]


@pytest.fixture
def web(process_env: dict[str, str]) -> Web:
    """`web(code, action, times)`: a web process of that version; returns when it has committed and ended."""

    def run(code: str, action: str, times: int = 1, **environment: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tests.deploy.web", action, f"{times}"],
            env=process_env | version(code) | environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return run


Deploy = Callable[..., WorkerProcess]


@pytest.fixture
def deploy(start_worker: Start) -> Deploy:
    """`deploy(code)`: a worker of that version, when it beats."""

    def start(code: str, *options: str, **environment: str) -> WorkerProcess:
        return start_worker(*options, **version(code), **environment)

    return start


def effects(function: str) -> list[dict[str, Any]]:
    """What was left by it, in the order of the events; fails where one of them had two effects."""
    rows = list(Effect.objects.filter(receiver=function))
    assert len({row.key for row in rows}) == len(rows), "an effect came twice"
    notes = sorted((json.loads(row.note) for row in rows), key=itemgetter("event"))
    return [{name: value for name, value in note.items() if name != "event"} for note in notes]


def by_code(function: str) -> set[str]:
    return {note["code"] for note in effects(function)}


def unfinished(receiver: str = "") -> int:
    rows = Delivery.objects.filter(state__in=UNFINISHED)
    return (rows.filter(receiver=f"{HERE}.{receiver}") if receiver else rows).count()


def waits(receiver: str, times: int = 1) -> Callable[[], bool]:
    """Put back, and by nobody run: each waits with all its tries."""
    waiting = Delivery.objects.filter(
        receiver=f"{HERE}.{receiver}", state=State.WAITING, tries=0, careful=False
    )
    return lambda: waiting.count() == times


def reported(receiver: str) -> bool:
    return any(f"knows receiver '{HERE}.{receiver}'" in finding.what for finding in diagnose())


def settled() -> bool:
    """Every event examined, every delivery finished."""
    return not unfinished() and not EventRecord.objects.exclude(next_at=None).exists()


# --- renamed receivers ------------------------------------------------------------------------------------


def test_renamed_receiver__events_of_the_old_name__run_once_while_both_versions_serve_the_queue(
    web: Web, deploy: Deploy
) -> None:
    deploy(OLD)
    deploy(NEW)
    web(OLD, "save", SAVES)
    wait_for(
        lambda: len(effects("weigh_parcel") + effects("measure_parcel")) == SAVES, "one effect for each save"
    )
    assert by_code("weigh_parcel") <= {OLD}
    assert by_code("measure_parcel") <= {NEW}
    wait_for(lambda: not unfinished("weigh_parcel"), "every record")
    names = Delivery.objects.filter(receiver__in=[f"{HERE}.weigh_parcel", f"{HERE}.measure_parcel"])
    assert set(names.values_list("receiver", flat=True)) == {f"{HERE}.weigh_parcel"}


def test_renamed_receiver__events_of_the_old_name__run_on_new_workers_alone(web: Web, deploy: Deploy) -> None:
    web(OLD, "save", SAVES)
    deploy(NEW)
    wait_for(lambda: len(effects("measure_parcel")) == SAVES, "the new function")
    wait_for(lambda: not unfinished("weigh_parcel"), "records of the old name")
    done = Delivery.objects.filter(receiver=f"{HERE}.weigh_parcel", state=State.DONE)
    assert done.count() == SAVES
    assert not Delivery.objects.filter(receiver=f"{HERE}.measure_parcel").exists()


@diagnosing
def test_renamed_receiver__events_of_the_new_name__wait_for_a_new_worker(web: Web, deploy: Deploy) -> None:
    old = deploy(OLD)
    web(NEW, "save", SAVES)
    wait_for(waits("measure_parcel", SAVES), "deliveries put back", log=old.log)
    assert reported("measure_parcel")
    wait_for(lambda: len(effects("record_parcel")) == SAVES, "what both versions know")
    assert not effects("weigh_parcel")
    assert old.process.poll() is None
    deploy(NEW)
    wait_for(lambda: len(effects("measure_parcel")) == SAVES, "the new worker")
    wait_for(settled, "every delivery")
    assert by_code("measure_parcel") == {NEW}
    assert not reported("measure_parcel")


def test_mixed_fleet__what_reaches_an_old_worker_comes_to_a_new_one__with_few_messages(
    web: Web, deploy: Deploy
) -> None:
    deploy(OLD)
    deploy(NEW)
    started = time.monotonic()
    web(NEW, "save", 4 * SAVES)
    wait_for(lambda: len(effects("measure_parcel")) == 4 * SAVES, "every save")
    wait_for(lambda: len(effects("label_parcel")) == 4 * SAVES, "every save")
    wait_for(settled, "every delivery")
    rows = Delivery.objects.filter(receiver=f"{HERE}.measure_parcel")
    assert set(rows.values_list("state", "tries", "careful")) == {(State.DONE, 0, False)}
    # Sent again at growing pauses, and not as fast as an idle worker puts it back. Which of them is the idle one is
    # chance: so many sendings took at least so long.
    sent = max(rows.values_list("attempt", flat=True))
    assert sum(min(2 << each, 8) for each in range(sent)) <= time.monotonic() - started
    # Counted, not written for each message.
    assert Refusal.objects.filter(receiver=f"{HERE}.measure_parcel").count() <= 1


# --- removed and added ones -------------------------------------------------------------------------------


@diagnosing
def test_removed_receiver__its_events_wait_for_an_old_worker__and_hold_up_no_other(
    web: Web, deploy: Deploy
) -> None:
    new = deploy(NEW)
    web(OLD, "save", SAVES)
    wait_for(lambda: len(effects("record_parcel")) == len(effects("measure_parcel")) == SAVES, "the others")
    wait_for(waits("paint_parcel", SAVES), "deliveries put back", log=new.log)
    assert reported("paint_parcel")
    assert new.process.poll() is None
    deploy(OLD)
    wait_for(lambda: len(effects("paint_parcel")) == SAVES, "the old worker")
    wait_for(settled, "every delivery")


def test_added_receiver__its_events_wait_for_a_new_worker(web: Web, deploy: Deploy) -> None:
    deploy(OLD)
    web(NEW, "save")
    wait_for(waits("label_parcel"), "a delivery put back")
    # It is recorded next.
    refusals = Refusal.objects.filter(receiver=f"{HERE}.label_parcel")
    wait_for(lambda: refusals.count() == 1, "its refusal")
    # Nobody sends it meanwhile.
    attempt = Delivery.objects.get(receiver=f"{HERE}.label_parcel").attempt
    wait_for(lambda: len(effects("record_parcel")) == 1, "what both versions know")
    web(OLD, "save", SAVES)
    wait_for(lambda: len(effects("paint_parcel")) == SAVES, "the old worker at work")
    assert Delivery.objects.get(receiver=f"{HERE}.label_parcel").attempt == attempt
    deploy(NEW)
    wait_for(lambda: len(effects("label_parcel")) == 1, "the new worker")


# --- models -----------------------------------------------------------------------------------------------


def test_model__snapshot_of_old_code__on_a_new_worker(web: Web, deploy: Deploy) -> None:
    web(OLD, "save")
    web(OLD, "edit")
    web(OLD, "delete")
    deploy(NEW)
    wait_for(lambda: len(effects("record_parcel")) == 3, "a save, an edit and a deletion")
    created, edited, deleted = effects("record_parcel")
    # `weight` was a text that is no number; `fragile` was not there; `colour` is gone.
    assert created.keys() == edited.keys() == {"code", "id", "title", "changes", "withheld"}
    assert (created["title"], edited["title"], deleted["title"]) == ("0", "other", "other")
    assert created["id"] == edited["id"] == deleted["id"] is not None
    assert (edited["changes"], edited["withheld"]) == ({"title": ["0", "other"]}, ["weight"])
    assert Delivery.objects.filter(receiver=f"{HERE}.record_parcel", state=State.DONE, tries=0).count() == 3


def test_model__snapshot_of_new_code__on_an_old_worker(web: Web, deploy: Deploy) -> None:
    web(NEW, "save")
    web(NEW, "edit")
    web(NEW, "delete")
    deploy(OLD)
    wait_for(lambda: len(effects("record_parcel")) == 3, "a save, an edit and a deletion")
    created, edited, deleted = effects("record_parcel")
    # A number fits into a text; `fragile` is unknown here; `colour` was not there.
    assert created.keys() == {"code", "id", "title", "weight", "changes", "withheld"}
    assert (created["code"], created["title"], created["weight"]) == (OLD, "0", "5")
    assert edited["changes"] == {"title": ["0", "other"], "weight": ["5", "7"]}
    assert deleted["title"] == "other"


# --- events -----------------------------------------------------------------------------------------------


def test_event_of_the_old_version__is_upcast_on_a_new_worker(web: Web, deploy: Deploy) -> None:
    web(OLD, "store", 3)
    deploy(NEW)
    wait_for(lambda: len(effects("record_stored")) == 3, "every event")
    assert effects("record_stored") == [
        {"code": NEW, "title": f"{number}", "place": f"shelf {number}"} for number in range(3)
    ]


def test_event_of_the_new_version__waits_for_a_new_worker(web: Web, deploy: Deploy) -> None:
    old = deploy(OLD)
    web(NEW, "store", 3)
    wait_for(waits("record_stored", 3), "deliveries put back", log=old.log)
    refusals = Refusal.objects.filter(receiver=f"{HERE}.record_stored", reason__contains="version 2")
    wait_for(refusals.exists, "its refusal")
    web(OLD, "store", 2)
    wait_for(lambda: len(effects("record_stored")) == 2, "those of the old version")
    old.stop()
    deploy(NEW)
    wait_for(lambda: len(effects("record_stored")) == 5, "every event")
    rows = Delivery.objects.filter(receiver=f"{HERE}.record_stored", state=State.DONE, tries=0)
    wait_for(lambda: rows.count() == 5, "no try used")
    assert [note.get("place") for note in effects("record_stored") if note["code"] == NEW] == [
        "room 0",
        "room 1",
        "room 2",
    ]


def test_missing_upcaster__is_a_dead_letter_that_names_it__and_runs_after_the_deploy_that_adds_it(
    web: Web, deploy: Deploy
) -> None:
    web(OLD, "store")
    without = deploy(NEW, DEPOT_UPCASTERS="off")
    dead = Delivery.objects.filter(receiver=f"{HERE}.record_stored", state=State.DEAD)
    wait_for(dead.exists, "a dead letter", log=without.log)
    assert "<Event depot.stored> has no upcaster for version 1" in dead.get().error
    without.stop()
    deploy(NEW)
    assert sum(redeliver("default", [dead.get().pk], by="a test")) == 1
    wait_for(lambda: len(effects("record_stored")) == 1, "the redelivered event")


def test_field_added_with_a_default__either_way(web: Web, deploy: Deploy) -> None:
    web(OLD, "count")
    deploy(NEW)
    wait_for(lambda: effects("record_count") == [{"code": NEW, "number": 0, "by": "hand"}], "the default")


# --- messages that nobody here knows ----------------------------------------------------------------------


def unknown(*, attempts: tuple[int, ...], careful: bool = False) -> Message:
    events = EventRecord.objects.filter(type="depot.parcel.created").order_by("pk")[: len(attempts)]
    return Message(
        receiver=f"{HERE}.paint_parcel",
        queue="default",
        using="default",
        ids=tuple(str(event.pk) for event in events),
        envelopes=tuple(event.envelope for event in events),
        attempts=attempts,
        careful=careful,
    )


def test_unknown_receiver__the_message_leaves_the_broker__and_its_records_are_kept_as_they_are(
    web: Web, deploy: Deploy, broker: Broker
) -> None:
    web(OLD, "save", 3)
    brokers.empty(broker)
    worker = deploy(NEW, EVENTS_RELAY="off")
    _, second, third = EventRecord.objects.filter(type="depot.parcel.created").order_by("pk")
    sent = {"receiver": f"{HERE}.paint_parcel", "queue": "default", "state": State.SENT}
    Delivery.objects.create(event=second, attempt=3, careful=True, tries=2, **sent)
    # Sent again since: the message is stale.
    Delivery.objects.create(event=third, attempt=5, **sent)
    for message in (
        unknown(attempts=(0,)),
        unknown(attempts=(1, 3, 4)),
        unknown(attempts=(2, 3), careful=True),
    ):
        transport.publish([message])
    rows = Delivery.objects.filter(receiver=f"{HERE}.paint_parcel").order_by("event_id")
    wait_for(
        lambda: (
            list(rows.values_list("state", "attempt", "careful", "tries"))
            == [(State.WAITING, 0, False, 0), (State.WAITING, 3, True, 2), (State.SENT, 5, False, 0)]
        ),
        "two put back, one left alone",
        log=worker.log,
    )
    wait_for(lambda: not brokers.in_hand(broker) and not transport.look("default").depth, "an empty broker")
    assert worker.process.poll() is None


def test_unknown_receiver__forged__is_refused_and_no_record_is_touched(
    web: Web, deploy: Deploy, broker: Broker
) -> None:
    web(OLD, "save", 2)
    brokers.empty(broker)
    worker = deploy(NEW, EVENTS_RELAY="off")
    genuine, other = unknown(attempts=(0,)), unknown(attempts=(0, 0))
    transport.publish([genuine])
    wait_for(lambda: Delivery.objects.count() == 1, "the genuine one, put back")
    Delivery.objects.all().delete()
    forged = replace(other, id=genuine.id)
    with override_settings(SECRET_KEY="another" * 10):
        transport.publish([forged])
    refusals = Refusal.objects.filter(receiver=forged.receiver, reason__contains="the signature does not fit")
    wait_for(refusals.exists, "a refusal", log=worker.log)
    assert not Delivery.objects.exists()
    assert worker.process.poll() is None


def test_task_of_another_app__while_results_cannot_be_stored__ends_no_worker(deploy: Deploy) -> None:
    worker = deploy(NEW)
    table = TaskResult._meta.db_table
    rename_table(table, "elsewhere")
    try:
        app.send_task("somebody.elses", queue="default")
        wait_for(Refusal.objects.exists, "a refusal", log=worker.log)
    finally:
        rename_table("elsewhere", table)
    assert worker.process.poll() is None
    app.send_task("somebody.elses", queue="default")
    wait_for(TaskResult.objects.filter(status="FAILURE").exists, "what Celery does with it otherwise")


def rename_table(name: str, into: str) -> None:
    with connection.schema_editor() as editor:
        editor.alter_db_table(TaskResult, name, into)
