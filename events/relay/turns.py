"""The statements that find which deliveries are to be sent, and of which receivers: a few for each message, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from django.db import connections

from events.clock import after_sql
from events.delivery.by_index import TURN, by_index
from events.delivery.statements import for_update, table
from events.drivers import lean_cursor
from events.models import Delivery, State

# As a literal, so that the partial index fits.
_WAITS = f"state = '{State.WAITING}' AND queue = %s"


class Taken(NamedTuple):
    id: int
    # As the driver gave it.
    event_id: UUID | str
    attempt: int
    # A number, on MySQL.
    careful: bool


def due_receivers(using: str, queue: str) -> Iterator[str]:
    """From one to the next through the index: DISTINCT would read all that waits, for each round of the relay."""
    connection = connections[using]
    now, params = after_sql(using, 0)
    # The oldest of each comes first, and says whether anything of it is due.
    statement = (
        f"SELECT receiver, next_at <= {now} FROM {table(connection, Delivery)} "  # noqa: S608 - names only from our own models
        f"WHERE {_WAITS} AND receiver > %s ORDER BY receiver, next_at LIMIT 1"
    )
    found: tuple[str, bool] | None = ("", False)
    while found:
        with lean_cursor(connection) as cursor:
            cursor.execute(statement, [*params, queue, found[0]])
            found = cursor.fetchone()
        if found and found[1]:
            yield found[0]


def taken(using: str, queue: str, receiver: str, most: int) -> list[Taken]:
    """Its oldest that are due, but for those that somebody else has locked.

    In a transaction: they are locked for as long as that.
    """
    connection = connections[using]
    now, params = after_sql(using, 0)
    # In an order that the index has: sorted by anything else, MySQL would lock all that is due, not a batch.
    statement = (
        f"SELECT {', '.join(Taken._fields)} FROM {table(connection, Delivery)} "  # noqa: S608 - as above
        f"WHERE {_WAITS} AND receiver = %s AND next_at <= {now} ORDER BY next_at, id LIMIT {most}"
        f"{for_update(connection, skip_locked=True)}"
    )
    with by_index(using, TURN), lean_cursor(connection) as cursor:
        cursor.execute(statement, [queue, receiver, *params])
        return [Taken(*row) for row in cursor.fetchall()]
