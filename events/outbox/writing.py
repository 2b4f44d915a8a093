from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from events.clock import LOOK_AFTER, after_sql, asked
from events.models import EventRecord
from events.outbox import copying
from events.outbox.columns import NAMES, rows_of
from events.outbox.committing import can_commit, cancelled_when_interrupted
from events.outbox.emission import Emission
from events.outbox.large import tell_large

# Events, and characters of their envelopes, that a transaction keeps in memory before it writes them. And what one
# statement holds at most, unless a single envelope is larger: MariaDB refuses one of 16 MB, and quoting doubles some.
FLUSH_EVERY = 500
FLUSH_CHARACTERS = 2_000_000


# Rows from which on it pays to ask what time it is first: COPY has to be told, and SQLite would
# compute it for each row, in Python.
_MANY = 20

# SQL and its parameters.
_Moment = tuple[str, tuple[Any, ...]]


def insert(connection: BaseDatabaseWrapper, emissions: Sequence[Emission], *, is_last: bool = False) -> None:
    """Write the emissions in the transaction now open on `connection`: kept or lost with it.

    `is_last`: nothing but its COMMIT comes after them, which may be done already on return.
    """
    if len(emissions) >= _MANY and copying.is_possible(connection):
        copying.copy(connection, emissions)
        return
    moments = _moments(connection, len(emissions))
    left = len(emissions)
    for some in _slices(connection, emissions):
        left -= len(some)
        sql, params = _statement(connection, some, *moments)
        with connection.cursor() as cursor:
            if is_last and not left and can_commit(connection):
                with cancelled_when_interrupted(connection):
                    cursor.execute(f"{sql}; COMMIT", params)
            else:
                cursor.execute(sql, params)


def _moments(connection: BaseDatabaseWrapper, rows: int) -> list[_Moment]:
    """When the relay looks: at once for what is left to it, later for the others."""
    seconds = (0, LOOK_AFTER)
    if rows >= _MANY and connection.vendor == "sqlite":
        return [("%s", (moment,)) for moment in asked(connection.alias, *seconds)]
    return [after_sql(connection.alias, some) for some in seconds]


def _slices(connection: BaseDatabaseWrapper, emissions: Sequence[Emission]) -> Iterator[Sequence[Emission]]:
    limit = connection.features.max_query_params
    # next_at takes a parameter or two of its own.
    size = min(FLUSH_EVERY, limit // (len(NAMES) + 3)) if limit else FLUSH_EVERY
    some: list[Emission] = []
    room = FLUSH_CHARACTERS
    for emission in emissions:
        length = len(emission.envelope)
        tell_large(emission)
        if some and (len(some) == size or length > room):
            yield some
            some, room = [], FLUSH_CHARACTERS
        some.append(emission)
        room -= length
    if some:
        yield some


def _statement(
    connection: BaseDatabaseWrapper, emissions: Sequence[Emission], due: _Moment, look: _Moment
) -> tuple[str, list[Any]]:
    quote = connection.ops.quote_name
    columns = ", ".join(quote(name) for name in (*NAMES, "next_at"))
    marks = ", ".join(["%s"] * len(NAMES))
    rows: list[str] = []
    params: list[Any] = []
    row = rows_of(connection)
    for emission in emissions:
        moment, some = due if emission.is_left() else look
        rows.append(f"({marks}, {moment})")
        params += row(emission)
        params += some
    # Names only from our own model; every value is a parameter.
    return f"INSERT INTO {quote(EventRecord._meta.db_table)} ({columns}) VALUES {', '.join(rows)}", params  # noqa: S608
