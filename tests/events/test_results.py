"""What a message leaves in django-celery-results: the same row as that package would write, in one statement."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app, states
from django.db import DataError, connection, transaction
from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import TaskResult

from events import Event
from events.delivery import chunk, claim
from events.delivery.concluding import Conclusion
from events.delivery.consuming import consume
from events.delivery.kept import Condition
from events.delivery.tally import Tally
from events.fast_path import fast_path
from events.message import Message
from events.models import Delivery
from events.testing import _due_messages
from events.worker.results import Results, instead_of
from tests.events.concluding import concluded, conclusion
from tests.events.conftest import Offloaded
from tests.events.queries import statements
from tests.shop.models import Effect
from tests.shop.receivers import record_save

happened = Event("review.concluded", text=str)

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


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine, the time a chunk took is not worth a word."""
    monkeypatch.setattr(claim, "WORTH_WRITING", float("inf"))


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


def of_receiver(count: int) -> Message:
    with fast_path.suspended(), transaction.atomic():
        for number in range(count):
            happened.send(None, text=f"{number}")
    (message,) = _due_messages("default")
    return message


def refuse_to_write(tally: Tally, provided: Condition | None) -> bool:
    TaskResult.objects.create(task_id="x" * 300, result=None, content_type=None)
    raise DataError("too long")


def record(sender: Any, text: str, **kwargs: Any) -> None:
    Effect.objects.create(receiver="record", key=text)


def end_the_transaction(sender: Any, text: str, **kwargs: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK")
    record(sender, text)


def swallow_an_error(sender: Any, text: str, **kwargs: Any) -> None:
    runs.append(text)
    with suppress(Exception):
        # The driver's own cursor: Django doesn't hear of it.
        connection.connection.cursor().execute("SELECT no_such_column")


def commit_at_first(sender: Any, text: str, **kwargs: Any) -> None:
    runs.append(text)
    if len(runs) == 1:
        with connection.cursor() as cursor:
            cursor.execute("COMMIT")
    record(sender, text)


def write_no_more(sender: Any, text: str, **kwargs: Any) -> None:
    record(sender, text)
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")


runs: list[str] = []


def fail_for_one(sender: Any, text: str, **kwargs: Any) -> None:
    record(sender, text)
    if text == "1":
        raise ValueError(text)


def test_conclusion__is_stored_with_the_work(offloaded: Offloaded) -> None:
    offloaded(record, happened)
    message, result = of_receiver(3), conclusion()
    with statements() as made:
        assert consume(message, result) == Tally(done=3)
    assert result.stands
    assert concluded() == {"done": 3}
    # Where a question is a round trip, none is asked before it: it is stored if the claims are there.
    asked = [] if connection.vendor == "postgresql" else ["SELECT offload_delivery"]
    ending = [statement for statement in made if not statement.endswith("SAVEPOINT")][-2 - len(asked) :]
    assert ending == ["INSERT shop_effect", *asked, "INSERT django_celery_results_taskresult"]


def test_conclusion__that_cannot_be_stored_costs_no_delivery(offloaded: Offloaded) -> None:
    offloaded(record, happened)
    message, result = of_receiver(3), Conclusion(refuse_to_write)
    assert consume(message, result) == Tally(done=3)
    assert not result.stands
    assert Effect.objects.count() == 3
    assert not TaskResult.objects.exists()


def test_conclusion__goes_with_a_chunk_that_is_rolled_back(offloaded: Offloaded) -> None:
    offloaded(fail_for_one, happened)
    message, result = of_receiver(3), conclusion()
    assert consume(message, result) == Tally(done=2, retrying=1)
    assert not result.stands
    assert not TaskResult.objects.exists()


def test_conclusion__of_claims_that_are_gone_is_none(offloaded: Offloaded) -> None:
    offloaded(end_the_transaction, happened)
    message, result = of_receiver(1), conclusion()
    assert consume(message, result) == Tally(retrying=1)
    assert not result.stands
    assert concluded() is None


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="elsewhere an error does not spoil the transaction"
)
def test_conclusion__in_a_spoiled_transaction__is_the_receivers_failure(offloaded: Offloaded) -> None:
    runs.clear()
    offloaded(swallow_an_error, happened)
    message, result = of_receiver(1), conclusion()
    assert consume(message, result) == Tally(retrying=1)
    assert "aborted" in Delivery.objects.get().error
    # And not run again, as where the result alone can't be stored.
    assert runs == ["0"]
    assert concluded() is None


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="elsewhere the driver begins no transaction by itself"
)
def test_conclusion__that_cannot_be_stored_after_a_commit_by_hand__costs_no_effect(
    offloaded: Offloaded,
) -> None:
    runs.clear()
    offloaded(commit_at_first, happened)
    message, result = of_receiver(1), Conclusion(refuse_to_write)
    assert consume(message, result) == Tally(done=1)
    assert list(Effect.objects.values_list("key", flat=True)) == ["0"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="elsewhere there is no such word")
def test_conclusion__in_a_transaction_that_writes_no_more__costs_no_delivery(offloaded: Offloaded) -> None:
    offloaded(write_no_more, happened)
    message, result = of_receiver(1), conclusion()
    assert consume(message, result) == Tally(done=1)
    assert not result.stands
    assert Effect.objects.count() == 1


def test_conclusion__is_not_for_a_message_of_several_chunks(
    offloaded: Offloaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk, "CHUNK_SECONDS", 0.0)
    offloaded(record, happened)
    message, result = of_receiver(3), conclusion()
    assert consume(message, result) == Tally(done=3)
    assert not result.stands


def test_conclusion__is_of_tasks_whose_results_are_on_that_database() -> None:
    task = current_app.tasks[RECEIVER]
    task.push_request(id="ours", ignore_result=False)
    try:
        assert task.conclusion("default") is not None
        assert task.conclusion("other") is None
    finally:
        task.pop_request()
