"""What the relay's messages carry of their events."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Case, TextField, Value, When
from django.db.models.lookups import GreaterThan

from events.conf import settings
from events.delivery.statements import among, as_parameters, table
from events.drivers import lean_cursor
from events.expressions import compiled
from events.message import inlined, room_inline
from events.models import EventRecord, Size

# Envelopes read in one statement, none of them larger than what a message carries.
_AT_ONCE = 100


class Envelopes:
    """Of what is sent at once: receivers of the same events carry the same, read once."""

    def __init__(self, using: str) -> None:
        self._using = using
        # By the event's key, as the driver gave it.
        self._read: dict[UUID | str, str] = {}

    def of(self, keys: Sequence[UUID | str]) -> tuple[str, ...]:
        """Only what the message will carry is read: a thousand large ones are more than a process holds."""
        room, read = room_inline(), self._read
        for start in range(0, len(keys), _AT_ONCE):
            if room > 0:
                some = keys[start : start + _AT_ONCE]
                if absent := [key for key in some if key not in read]:
                    read |= _small(self._using, absent)
                room -= sum(len(read.get(key, "")) for key in some)
        return inlined(read.get(key, "") for key in keys)


def _small(using: str, keys: Sequence[UUID | str]) -> dict[UUID | str, str]:
    connection = connections[using]
    column, params = _unless_large(using, settings.MAX_INLINE_BYTES)
    with lean_cursor(connection) as cursor:
        cursor.execute(
            f"SELECT id, {column} FROM {table(connection, EventRecord)} WHERE {among(connection, len(keys))}",  # noqa: S608 - names only from our own models
            [*params, *as_parameters(connection, keys)],
        )
        return dict(cursor.fetchall())


@lru_cache(maxsize=64)
def _unless_large(using: str, limit: int) -> tuple[str, tuple[Any, ...]]:
    """An envelope, or "" for one of more bytes."""
    is_large = GreaterThan(Size("envelope"), limit)
    small = Case(When(is_large, then=Value("")), default="envelope", output_field=TextField())
    return compiled(using, EventRecord, small)
