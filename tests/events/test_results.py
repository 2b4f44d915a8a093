"""What a message leaves in django-celery-results: the same row as that package would write, in one statement."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app, states
from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import TaskResult

from events.worker.results import Results, instead_of
from tests.events.queries import statements
from tests.shop.receivers import record_save

pytestmark = pytest.mark.django_db(transaction=True)

RECEIVER = f"{record_save.__module__}.{record_save.__qualname__}"
REQUEST = SimpleNamespace(
    argsrepr="('1 events from a',)",
    kwargsrepr="{}",
    task=RECEIVER,
    hostname="worker@here",
    meta={"kept": True},
    children=[],
    id="theirs",
)
OUTCOMES: list[tuple[Any, str, str | None]] = [
    ({"done": 1}, states.SUCCESS, None),
    (ValueError("no"), states.FAILURE, "Traceback: no"),
]


def stored(backend: DatabaseBackend, id: str) -> dict[str, Any]:
    row: dict[str, Any] = TaskResult.objects.values().get(task_id=id)
    return {
        name: value
        for name, value in row.items()
        if name not in {"id", "task_id", "date_created", "date_done"}
    }


@pytest.fixture
def theirs() -> DatabaseBackend:
    return DatabaseBackend(app=current_app._get_current_object())


@pytest.fixture
def ours(theirs: DatabaseBackend) -> Results:
    backend = instead_of(theirs)
    assert isinstance(backend, Results)
    return backend


@pytest.mark.parametrize(("result", "state", "traceback"), OUTCOMES)
def test_result__is_the_row_that_the_package_would_write(
    theirs: DatabaseBackend, ours: Results, result: Any, state: str, traceback: str | None
) -> None:
    for backend, id in ((theirs, "theirs"), (ours, "ours")):
        backend.store_result(id, result, state, traceback=traceback, request=REQUEST)
    assert stored(ours, "ours") == stored(theirs, "theirs")
    assert stored(ours, "ours")["task_name"] == RECEIVER


def test_result__is_one_statement_and_the_last_one_stands(ours: Results) -> None:
    with statements() as made:
        ours.store_result("ours", {"done": 1}, states.SUCCESS, request=REQUEST)
    assert made == ["INSERT django_celery_results_taskresult"]
    first = TaskResult.objects.get()
    ours.store_result("ours", ValueError("no"), states.FAILURE, traceback="no", request=REQUEST)
    again = TaskResult.objects.get()
    assert (again.pk, again.status, again.date_created) == (first.pk, states.FAILURE, first.date_created)
    assert again.date_done > first.date_done


def test_receivers__have_it_and_other_tasks_and_other_backends_have_not() -> None:
    task = current_app.tasks[RECEIVER]
    assert type(current_app.backend) is DatabaseBackend
    assert type(task.backend) is Results
    assert task.backend is task.backend
    assert type(current_app.tasks["celery.backend_cleanup"].backend) is DatabaseBackend

    class Derived(DatabaseBackend):  # type: ignore[misc]
        pass

    other = Derived(app=current_app._get_current_object())
    assert instead_of(other) is other
