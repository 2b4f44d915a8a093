"""One statement for a message's result, where django-celery-results asks, begins, inserts or updates, and commits.

That would be the dearest part of a message of one delivery: see docs/decisions/0012-speed.md. Of a message that one
transaction works off it is a part: no commit of its own, and it says done if and only if it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from celery import states
from django.db import connections, router
from django.db.models import Field
from django.db.models.constants import OnConflict
from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import TaskResult

from events.delivery.concluding import Conclusion
from events.delivery.kept import Condition
from events.delivery.statements import prepared
from events.delivery.tally import Tally
from events.delivery.trouble import repeated
from events.drivers import lean_cursor

_WRITTEN = (
    *("status", "result", "traceback", "meta", "content_encoding", "content_type"),
    *("periodic_task_name", "task_name", "task_args", "task_kwargs", "worker"),
)


class Results(DatabaseBackend):  # type: ignore[misc]  # celery ships no types
    """The same rows; written without `post_save`, which nobody is told of them."""

    def _store_result(
        self,
        task_id: str,
        result: Any,
        status: str,
        traceback: Any = None,
        request: Any = None,
        using: str | None = None,
    ) -> Any:
        row = self.row(task_id, result, status, traceback, request)
        using = using or router.db_for_write(TaskResult)
        repeated(using, lambda: write(row, using))
        return row.result

    def row(self, task_id: str, result: Any, status: str, traceback: Any, request: Any) -> TaskResult:
        content_type, content_encoding, encoded = self.encode_content(result)
        meta = {**self._get_meta_from_request(request), "children": self.current_task_children(request)}
        return TaskResult(
            task_id=task_id,
            status=status,
            result=encoded,
            meta=self.encode_content(meta)[2],
            content_type=content_type,
            content_encoding=content_encoding,
            **{"traceback": traceback, **self._get_extended_properties(request, traceback)},
        )


def write(row: TaskResult, using: str, provided: Condition | None = None) -> bool:
    """Whether it is written: always, unless it is `provided` that something holds which doesn't."""
    connection = connections[using]
    fields, statement, end = _statement(using)
    marks = ", ".join(["%s"] * len(fields))
    values = [prepared(connection, field, field.pre_save(row, add=True)) for field in fields]
    if provided is not None:
        rows = f"SELECT {marks} WHERE {provided.sql}"
        values += provided.params
    else:
        rows = f"VALUES ({marks})"
    with lean_cursor(connection) as cursor:
        cursor.execute(f"{statement} {rows} {end}", values)
        return provided is None or bool(cursor.rowcount)


@cache
def _statement(using: str) -> tuple[Sequence[Field[Any, Any]], str, str]:
    """By hand, as events.delivery.statements: bulk_create() takes as long to say it as all the rest of a message."""
    connection, meta = connections[using], TaskResult._meta
    quote = connection.ops.quote_name
    fields = [field for field in meta.concrete_fields if not field.primary_key]
    # MySQL takes whatever key is unique.
    names_the_key = connection.features.supports_update_conflicts_with_target
    replaced = [meta.get_field(name).column for name in (*_WRITTEN, "date_done")]
    on_conflict = connection.ops.on_conflict_suffix_sql(
        fields, OnConflict.UPDATE, replaced, ["task_id"] if names_the_key else []
    )
    columns = ", ".join(quote(field.column) for field in fields)
    # Names only from the package's own model.
    return fields, f"INSERT INTO {quote(meta.db_table)} ({columns})", on_conflict


def conclusion_of(task: Any, using: str) -> Conclusion | None:
    """Stores the task's success in the transaction on `using`; None where its result is kept elsewhere, or nowhere."""
    backend, request = task.backend, task.request
    if not isinstance(backend, Results) or request.ignore_result or router.db_for_write(TaskResult) != using:
        return None

    def store(tally: Tally, provided: Condition | None) -> bool:
        row = backend.row(request.id, tally.summary(), states.SUCCESS, None, request)
        return write(row, using, provided)

    return Conclusion(store)


# The project's own → ours in its place.
_instead: WeakKeyDictionary[Any, Results] = WeakKeyDictionary()


def instead_of(backend: Any) -> Any:
    """Ours for django-celery-results' own; any other as it is, one derived from that too."""
    if type(backend) is not DatabaseBackend:
        return backend
    if backend not in _instead:
        _instead[backend] = Results(app=backend.app, url=backend.url)
    return _instead[backend]
