"""The statements by which events are examined, each once: written by hand, as a backlog has many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections

from events.clock import LOOK_AFTER, after_sql
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
    """The oldest, or the one asked for, but for those that another relay holds: relays may run side by side.

    In a transaction: the lock is as long as that.
    """
    lock = for_update(connections[using], skip_locked=True)
    with _due(using, "id, receivers, published", most, pk, lock) as cursor:
        return [Due(as_uuid(pk), receivers, published) for pk, receivers, published in cursor.fetchall()]


@contextmanager
def _due(using: str, what: str, most: int, pk: UUID | None = None, lock: str = "") -> Iterator[Any]:
    connection = connections[using]
    now, params = after_sql(using, 0)
    one = f" AND {among(connection, 1)}" if pk else ""
    with lean_cursor(connection) as cursor:
        cursor.execute(
            f"SELECT {what} FROM {table(connection, EventRecord)} WHERE next_at <= {now}{one} "  # noqa: S608 - names only from our own models
            f"ORDER BY next_at LIMIT {most}{lock}",
            [*params, *(as_keys(connection, [pk]) if pk else ())],
        )
        yield cursor


def recorded(using: str, ids: Sequence[UUID]) -> set[tuple[UUID, str]]:
    """Event and receiver of those deliveries of theirs that have a record."""
    connection = connections[using]
    with lean_cursor(connection) as cursor:
        cursor.execute(
            f"SELECT event_id, receiver FROM {table(connection, Delivery)} "  # noqa: S608 - as above
            f"WHERE {among(connection, len(ids), 'event_id')}",
            as_keys(connection, ids),
        )
        return {(as_uuid(event_id), receiver) for event_id, receiver in cursor.fetchall()}


def settle(using: str, ids: Sequence[UUID]) -> None:
    """There is nothing left to do for the relay with these events themselves."""
    _set_next_at(using, ids, ("NULL", ()))


def postpone(using: str, ids: Sequence[UUID]) -> None:
    """They are due again in LOOK_AFTER seconds."""
    _set_next_at(using, ids, after_sql(using, LOOK_AFTER))


def _set_next_at(using: str, ids: Sequence[UUID], moment: tuple[str, Sequence[Any]]) -> None:
    if not ids:
        return
    connection = connections[using]
    sql, params = moment
    with lean_cursor(connection) as cursor:
        cursor.execute(
            f"UPDATE {table(connection, EventRecord)} SET next_at = {sql} WHERE {among(connection, len(ids))}",  # noqa: S608 - as above
            [*params, *as_keys(connection, ids)],
        )
