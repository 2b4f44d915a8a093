"""Whether a claim's records, and their events, are there at the end of its transaction: asked, or as a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from events.delivery.statements import among, as_keys, of_record, table
from events.drivers import lean_cursor
from events.models import Delivery, EventRecord, State


class Condition(NamedTuple):
    """Of a statement."""

    sql: str
    params: Sequence[Any]


class Claim(NamedTuple):
    """What tells a claim's records from all others, and events of theirs that somebody may have pruned since."""

    message_id: UUID
    token: int
    ids: Sequence[UUID]


def count(using: str, claim: Claim) -> tuple[int, int]:
    """How many of its records say done; and how many of its events are in the outbox."""
    connection = connections[using]
    with lean_cursor(connection) as cursor:
        cursor.execute(f"SELECT {', '.join(_counts(using, len(claim.ids)))}", _counted(connection, claim))
        claims, *events = cursor.fetchone()
    return claims, events[0] if events else 0


def all_kept(using: str, claim: Claim, records: int) -> Condition:
    """That so many of its records say done, and all of its events are in the outbox."""
    counts = zip(_counts(using, len(claim.ids)), (records, len(claim.ids)), strict=False)
    sql = " AND ".join(f"{count} = {number}" for count, number in counts)
    return Condition(sql, _counted(connections[using], claim))


def _counts(using: str, events: int) -> Sequence[str]:
    connection = connections[using]
    quote = connection.ops.quote_name
    where = f"{quote('message_id')} = %s AND {quote('claim')} = %s AND {quote('state')} = %s"
    counts = [f"(SELECT COUNT(*) FROM {table(connection, Delivery)} WHERE {where})"]  # noqa: S608 - names only from our own models
    if events:
        ids = among(connection, events)
        counts.append(f"(SELECT COUNT(*) FROM {table(connection, EventRecord)} WHERE {ids})")  # noqa: S608 - as above
    return counts


def _counted(connection: BaseDatabaseWrapper, claim: Claim) -> list[Any]:
    id = of_record(connection, "message_id", claim.message_id)
    events = as_keys(connection, claim.ids) if claim.ids else []
    return [id, claim.token, State.DONE.value, *events]
