"""The statements that find events which are due, written by hand as a worker's are: again and again for a backlog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections

from events.clock import after_sql
from events.delivery.statements import among, as_keys, as_uuid, for_update, table
from events.drivers import lean_cursor
from events.models import Delivery, EventRecord


class Due(NamedTuple):
    """An event; the two texts as they are stored, the same for all that went to the same receivers."""

    pk: UUID
    # JSON. Name → queue; and the names of those whose messages the emitter has published.
    receivers: str
    published: str


def is_any_due(using: str) -> bool:
    with _due(using, "1", 1) as cursor:
        return cursor.fetchone() is not None


def oldest_due(using: str, most: int) -> list[UUID]:
    with _due(using, "id", most) as cursor:
        return [as_uuid(pk) for (pk,) in cursor.fetchall()]


def locked_due(using: str, most: int, pk: UUID | None = None) -> list[Due]:
    """The oldest, or the one asked for, but for those that another relay holds: relays may run side by side."""
    lock = for_update(connections[using], skip_locked=True)
    with _due(using, ", ".join(["id", *Due._fields[1:]]), most, pk, lock) as cursor:
        return [Due(as_uuid(pk), receivers, published) for pk, receivers, published in cursor.fetchall()]


@contextmanager
def _due(using: str, what: str, most: int, pk: UUID | None = None, lock: str = "") -> Iterator[Any]:
    connection = connections[using]
    quote = connection.ops.quote_name
    now, params = after_sql(using, 0)
    one = f" AND {among(connection, 1)}" if pk else ""
    with lean_cursor(connection) as cursor:
        cursor.execute(
            f"SELECT {what} FROM {table(connection, EventRecord)} WHERE {quote('next_at')} <= {now}{one} "  # noqa: S608
            f"ORDER BY {quote('next_at')} LIMIT {most}{lock}",
            [*params, *(as_keys(connection, [pk]) if pk else ())],
        )
        yield cursor


def recorded(using: str, ids: Sequence[UUID]) -> set[tuple[UUID, str]]:
    """Event and receiver of those deliveries of theirs that have a record."""
    connection = connections[using]
    with lean_cursor(connection) as cursor:
        cursor.execute(
            f"SELECT event_id, receiver FROM {table(connection, Delivery)} "  # noqa: S608 - names only from our own models
            f"WHERE {among(connection, len(ids), 'event_id')}",
            as_keys(connection, ids),
        )
        return {(as_uuid(event_id), receiver) for event_id, receiver in cursor.fetchall()}


def look_again(using: str, ids: Sequence[UUID], seconds: float | None) -> None:
    """At these events, so many seconds from now; None: there is nothing left to do here."""
    if not ids:
        return
    connection = connections[using]
    moment, params = after_sql(using, seconds) if seconds is not None else ("NULL", ())
    with lean_cursor(connection) as cursor:
        cursor.execute(
            f"UPDATE {table(connection, EventRecord)} SET next_at = {moment} WHERE {among(connection, len(ids))}",  # noqa: S608
            [*params, *as_keys(connection, ids)],
        )
