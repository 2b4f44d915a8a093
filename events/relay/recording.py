"""Deliveries' first records, hundreds in one statement: made by the ORM, each took longer than all else about it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.db import connections
from django.db.models import Field
from django.db.models.constants import OnConflict

from events.clock import after_sql
from events.models import Delivery, State

# Rows in one statement, where the database takes so many parameters.
_ROWS = 500
_GIVEN = ("event", "receiver", "queue", "state", "next_at")
# Alike in all of them: the defaults of the columns that can't be null, in words that every database takes.
_FIXED = {"tries": "0", "attempt": "0", "worker": "''", "careful": "FALSE", "reason": "''", "error": "''"}


class Due(NamedTuple):
    """A delivery that has no record yet: waiting, or `published` and looked for in `wait` seconds."""

    event_id: UUID
    receiver: str
    queue: str
    published: bool
    wait: float


def record(using: str, rows: Sequence[Due]) -> None:
    """Of those that have one by now, the record stays as it is."""
    limit = connections[using].features.max_query_params
    # A time may take two.
    size = min(_ROWS, limit // (len(_GIVEN) + 1)) if limit else _ROWS
    left = iter(rows)
    while some := list(islice(left, size)):
        _insert(using, some)


def _insert(using: str, rows: Sequence[Due]) -> None:
    connection = connections[using]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(_field(name).column)) for name in (*_GIVEN, *_FIXED))
    fixed = ", ".join(_FIXED.values())
    event_id = _field("event")
    values: list[str] = []
    params: list[Any] = []
    for row in rows:
        at, at_params = after_sql(using, row.wait if row.published else 0)
        values.append(f"(%s, %s, %s, %s, {at}, {fixed})")
        state = State.SENT if row.published else State.WAITING
        params += [event_id.get_db_prep_save(row.event_id, connection), row.receiver, row.queue, state.value]
        params += at_params
    # Here, and only here, a conflict needs no answer: the record is there, whoever made it.
    start = connection.ops.insert_statement(on_conflict=OnConflict.IGNORE)
    end = connection.ops.on_conflict_suffix_sql([], OnConflict.IGNORE, [], [])
    with connection.cursor() as cursor:
        cursor.execute(
            f"{start} {quote(Delivery._meta.db_table)} ({columns}) VALUES {', '.join(values)} {end}", params
        )


def _field(name: str) -> Field[Any, Any]:
    return cast("Field[Any, Any]", Delivery._meta.get_field(name))
