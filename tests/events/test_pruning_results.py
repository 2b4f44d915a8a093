"""Celery's results go when Celery is told that they expire; but not in one transaction, and not other people's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from celery import Celery
from django.db import connection
from django.test.utils import CaptureQueriesContext, modify_settings
from django_celery_results.models import GroupResult, TaskResult
from pytest_django import Settings

from events.relay.pruning import Pruned
from project.celery import app
from tests.events.ageing import old, pruned

pytestmark = pytest.mark.django_db

OURS = "tests.shop.receivers.record_save"
THEIRS = "somebody.elses"


def store(count: int = 1, *, days: float, name: str = OURS) -> None:
    known = TaskResult.objects.count()
    rows = [TaskResult(task_id=f"{known + number}", task_name=name) for number in range(count)]
    TaskResult.objects.bulk_create(rows)
    TaskResult.objects.filter(task_id__in=[row.task_id for row in rows]).update(date_done=old(days))


@pytest.fixture
def bare() -> Iterator[Celery]:
    """A project that has said nothing of results."""
    celery = Celery("bare")
    celery.set_current()
    yield celery
    app.set_current()


def test_results__expire_as_the_project_told_celery() -> None:
    assert app.conf.result_expires == timedelta(days=7)
    store(days=8)
    store(days=8, name=THEIRS)
    store(days=6)
    assert pruned().results == 2
    assert TaskResult.objects.get().date_done > old(7)


def test_results__of_groups_expire_too() -> None:
    for days in (8, 6):
        group = GroupResult.objects.create(group_id=f"{days}")
        GroupResult.objects.filter(pk=group.pk).update(date_done=old(days))
    assert pruned().results == 1
    assert GroupResult.objects.get().group_id == "6"


def test_results__nothing_said__ours_go_with_their_events_and_others_stay(bare: Celery) -> None:
    store(days=31)
    store(days=31, name=THEIRS)
    # A day is Celery's own default: nobody chose it.
    store(days=2)
    assert pruned().results == 1
    assert sorted(TaskResult.objects.values_list("task_name", flat=True)) == [THEIRS, OURS]


@pytest.mark.parametrize("never", [None, 0])
def test_results__that_never_expire__stay(bare: Celery, never: object) -> None:
    bare.conf.result_expires = never
    store(days=1000)
    assert not pruned()


def test_results__seconds_say_the_same_as_a_timedelta(bare: Celery) -> None:
    bare.conf.result_expires = 3600
    store(days=1)
    assert pruned().results == 1


def test_results__package_not_installed__nothing_is_asked() -> None:
    with (
        modify_settings(INSTALLED_APPS={"remove": "django_celery_results"}),
        CaptureQueriesContext(connection) as captured,
    ):
        assert not pruned()
    assert not [query for query in captured if "celery" in query["sql"]]


class Elsewhere:
    """Results have a database of their own, without an outbox."""

    def db_for_write(self, model: type, **hints: object) -> str | None:
        return "other" if model._meta.app_label == "django_celery_results" else None

    db_for_read = db_for_write


@pytest.mark.django_db(databases=["default", "other"])
def test_results__on_another_database__are_the_default_outboxs_to_prune(settings: Settings) -> None:
    settings.DATABASE_ROUTERS = ["tests.events.test_pruning_results.Elsewhere"]
    store(days=8)
    assert TaskResult.objects.using("other").count() == 1
    assert pruned() == Pruned(examined=1, results=1)
    assert not TaskResult.objects.using("other").exists()


@pytest.mark.django_db(databases=["default", "other"])
def test_results__beside_an_outbox__are_its_own_to_prune(settings: Settings) -> None:
    settings.DATABASE_ROUTERS = ["tests.events.test_pruning_results.Elsewhere"]
    settings.EVENTS = {**settings.EVENTS, "DATABASES": ["default", "other"]}
    store(days=8)
    assert not pruned()
    assert pruned(using="other").results == 1


def test_results__many__go_in_many_statements() -> None:
    store(300, days=8)
    with CaptureQueriesContext(connection) as captured:
        assert pruned().results == 300
    assert len([query for query in captured if query["sql"].startswith("DELETE")]) >= 3
