"""The table of emitted events, written in the emitter's own transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field

from events.clock import LOOK_AFTER, after_sql
from events.models import EventRecord

# Events, and characters of their envelopes, that a transaction keeps in memory before it writes them. And what one
# statement holds at most, unless a single envelope is larger: MariaDB refuses one of 16 MB, and quoting doubles some.
FLUSH_EVERY = 500
FLUSH_CHARACTERS = 2_000_000

_FIELDS = tuple(
    cast("Field[Any, Any]", EventRecord._meta.get_field(name))
    for name in (
        "id",
        "type",
        "subject",
        "correlation_id",
        "causation_id",
        "receivers",
        "published",
        "envelope",
    )
)


@dataclass(slots=True, kw_only=True)
class Emission:
    """An emitted event on its way into the outbox."""

    id: UUID
    type: str
    subject: str
    correlation_id: UUID
    causation_id: UUID | None
    receivers: dict[str, str]
    envelope: str
    # Names of the receivers whose messages the emitter publishes after the commit.
    published: list[str] = field(default_factory=list)
    # The flush it was written by; None while it isn't in the database.
    flushed: int | None = None
    dropped: bool = False
    # A test looks at it: whether it was dropped has to be told.
    observed: bool = False


def insert(connection: BaseDatabaseWrapper, emissions: Sequence[Emission]) -> None:
    """Write the emissions in the transaction now open on `connection`: kept or lost with it."""
    for some in _slices(connection, emissions):
        sql, params = _statement(connection, some)
        with connection.cursor() as cursor:
            cursor.execute(sql, params)


def _slices(connection: BaseDatabaseWrapper, emissions: Sequence[Emission]) -> Iterator[Sequence[Emission]]:
    limit = connection.features.max_query_params
    # next_at takes a parameter or two of its own.
    size = min(FLUSH_EVERY, limit // (len(_FIELDS) + 3)) if limit else FLUSH_EVERY
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
    columns = ", ".join(quote(name) for name in (*(field.attname for field in _FIELDS), "next_at"))
    rows: list[str] = []
    params: list[Any] = []
    marks = ", ".join(["%s"] * len(_FIELDS))
    for emission in emissions:
        # What is left to the relay is due at once.
        wait = LOOK_AFTER if len(emission.published) == len(emission.receivers) else 0
        due, due_params = after_sql(connection.alias, wait)
        rows.append(f"({marks}, {due})")
        params += [f.get_db_prep_save(getattr(emission, f.attname), connection) for f in _FIELDS]
        params += due_params
    # Names only from our own model; every value is a parameter.
    return f"INSERT INTO {quote(EventRecord._meta.db_table)} ({columns}) VALUES {', '.join(rows)}", params  # noqa: S608
