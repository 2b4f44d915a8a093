from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from events.clock import LOOK_AFTER, after_sql
from events.models import EventRecord
from events.outbox import copying
from events.outbox.columns import NAMES, rows_of
from events.outbox.emission import Emission

# Events, and characters of their envelopes, that a transaction keeps in memory before it writes them. And what one
# statement holds at most, unless a single envelope is larger: MariaDB refuses one of 16 MB, and quoting doubles some.
FLUSH_EVERY = 500
FLUSH_CHARACTERS = 2_000_000


def insert(connection: BaseDatabaseWrapper, emissions: Sequence[Emission]) -> None:
    """Write the emissions in the transaction now open on `connection`: kept or lost with it."""
    for some in _slices(connection, emissions):
        if copying.pays(connection, len(some)):
            copying.copy(connection, some)
        else:
            sql, params = _statement(connection, some)
            with connection.cursor() as cursor:
                cursor.execute(sql, params)


def _slices(connection: BaseDatabaseWrapper, emissions: Sequence[Emission]) -> Iterator[Sequence[Emission]]:
    limit = connection.features.max_query_params
    # next_at takes a parameter or two of its own.
    size = min(FLUSH_EVERY, limit // (len(NAMES) + 3)) if limit else FLUSH_EVERY
    some: list[Emission] = []
    room = FLUSH_CHARACTERS
    for emission in emissions:
        if some and (len(some) == size or len(emission.envelope) > room):
            yield some
            some, room = [], FLUSH_CHARACTERS
        some.append(emission)
        room -= len(emission.envelope)
    if some:
        yield some


def _statement(connection: BaseDatabaseWrapper, emissions: Sequence[Emission]) -> tuple[str, list[Any]]:
    quote = connection.ops.quote_name
    columns = ", ".join(quote(name) for name in (*NAMES, "next_at"))
    marks = ", ".join(["%s"] * len(NAMES))
    rows: list[str] = []
    params: list[Any] = []
    row = rows_of(connection)
    for emission in emissions:
        # What is left to the relay is due at once.
        due, due_params = after_sql(connection.alias, 0 if emission.is_left() else LOOK_AFTER)
        rows.append(f"({marks}, {due})")
        params += row(emission)
        params += due_params
    # Names only from our own model; every value is a parameter.
    return f"INSERT INTO {quote(EventRecord._meta.db_table)} ({columns}) VALUES {', '.join(rows)}", params  # noqa: S608
