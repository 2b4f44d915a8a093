"""The statements of every message, written by hand: the ORM would take three times as long to say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict

from events.clock import after_sql
from events.models import Delivery, EventRecord, State

# What every record begins with; a column that nobody names is NULL.
_BLANK: Mapping[str, object] = {"tries": 0, "attempt": 0, "careful": False, "reason": "", "error": ""}


def insert_records(
    using: str,
    ids: Sequence[UUID],
    values: Mapping[str, object],
    times: Mapping[str, float],
    *,
    where_none_is: bool = False,
) -> int:
    """One INSERT of a record for each of the events that is in the outbox for the receiver, in the order of ids;
    how many.

    They differ in their event alone; `values` names the receiver; `times`: seconds from the database's now, by column.
    Where one is there already: raises `IntegrityError`, or leaves that as it is if asked for those `where_none_is`.
    """
    connection = connections[using]
    quote = connection.ops.quote_name
    columns, row, params = ["event_id"], [quote("id")], []
    for name, value in {**_BLANK, **values}.items():
        columns.append(name)
        row.append("%s")
        params.append(Delivery._meta.get_field(name).get_db_prep_save(value, connection))  # type: ignore[union-attr]
    for name, seconds in times.items():
        moment, some = after_sql(using, seconds)
        columns.append(name)
        row.append(moment)
        params += some
    among, keys = _among(connection, ids)
    lists, named = _lists(using, str(values["receiver"]))
    on_conflict = OnConflict.IGNORE if where_none_is else None
    start = connection.ops.insert_statement(on_conflict=on_conflict)
    end = connection.ops.on_conflict_suffix_sql([], on_conflict, [], [])
    # Names only from our own models; every value is a parameter.
    statement = (
        f"{start} {_records(connection)} ({', '.join(map(quote, columns))}) "  # noqa: S608
        f"SELECT {', '.join(row)} FROM {_events(connection)} WHERE {among} AND {lists} ORDER BY {quote('id')} {end}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*params, *keys, *named])
        return int(cursor.rowcount)


def known_records(using: str, ids: Sequence[UUID], receiver: str) -> list[tuple[int, UUID, int]]:
    """Key, event and attempt of the records that say sent, and not careful; locked, in the order of ids."""
    connection = connections[using]
    quote = connection.ops.quote_name
    among, keys = _among(connection, ids, "event_id")
    statement = (
        f"SELECT {quote('id')}, {quote('event_id')}, {quote('attempt')} FROM {_records(connection)} "  # noqa: S608
        f"WHERE {among} AND {quote('receiver')} = %s AND {quote('state')} = %s "
        f"AND NOT {quote('careful')} ORDER BY {quote('event_id')}{for_update(connection)}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*keys, receiver, State.SENT.value])
        return [(pk, as_uuid(event_id), attempt) for pk, event_id, attempt in cursor.fetchall()]


def for_update(connection: BaseDatabaseWrapper, *, skip_locked: bool = False) -> str:
    """The end of a SELECT whose rows are to be ours; nothing where the database locks no rows."""
    if not connection.features.has_select_for_update:
        return ""
    skips = skip_locked and connection.features.has_select_for_update_skip_locked
    return f" {connection.ops.for_update_sql(skip_locked=skips)}"


def as_uuid(value: UUID | str) -> UUID:
    """As the driver gave it: not each knows the type."""
    return value if isinstance(value, UUID) else UUID(value)


def update_records(
    using: str,
    keys: Sequence[int],
    values: Mapping[str, object],
    times: Mapping[str, float],
    expressions: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Of the records of those primary keys. `times`: seconds from the database's now; `expressions`: SQL of our own."""
    connection = connections[using]
    quote = connection.ops.quote_name
    sets = [f"{quote(name)} = {expression}" for name, expression in expressions.items()]
    params: list[Any] = []
    for name, value in values.items():
        sets.append(f"{quote(name)} = %s")
        params.append(Delivery._meta.get_field(name).get_db_prep_save(value, connection))  # type: ignore[union-attr]
    for name, seconds in times.items():
        moment, some = after_sql(using, seconds)
        sets.append(f"{quote(name)} = {moment}")
        params += some
    marks = ", ".join(["%s"] * len(keys))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {_records(connection)} SET {', '.join(sets)} WHERE {quote('id')} IN ({marks})",  # noqa: S608
            [*params, *keys],
        )


def count_claimed(using: str, message_id: UUID, token: int, ids: Sequence[UUID] = ()) -> tuple[int, int]:
    """How many records of that claim say done; and how many of those events are in the outbox."""
    connection = connections[using]
    quote = connection.ops.quote_name
    where = f"{quote('message_id')} = %s AND {quote('claim')} = %s AND {quote('state')} = %s"
    id = Delivery._meta.get_field("message_id").get_db_prep_save(message_id, connection)
    counts = [f"SELECT COUNT(*) FROM {_records(connection)} WHERE {where}"]  # noqa: S608 - as above
    params = [id, token, State.DONE.value]
    if ids:
        among, keys = _among(connection, ids)
        counts.append(f"SELECT COUNT(*) FROM {_events(connection)} WHERE {among}")  # noqa: S608
        params += keys
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(f'({count})' for count in counts)}", params)
        found = cursor.fetchone()
    return found[0], found[1] if ids else 0


def _records(connection: BaseDatabaseWrapper) -> str:
    return connection.ops.quote_name(Delivery._meta.db_table)


def _events(connection: BaseDatabaseWrapper) -> str:
    return connection.ops.quote_name(EventRecord._meta.db_table)


def _among(connection: BaseDatabaseWrapper, ids: Sequence[UUID], column: str = "id") -> tuple[str, list[Any]]:
    """That the column is one of these events' ids."""
    marks = ", ".join(["%s"] * len(ids))
    pk = EventRecord._meta.pk
    keys = [pk.get_db_prep_value(id, connection) for id in ids]
    return f"{connection.ops.quote_name(column)} IN ({marks})", keys


@lru_cache(maxsize=1024)
def _lists(using: str, receiver: str) -> tuple[str, tuple[Any, ...]]:
    """That an event lists the receiver: each database asks JSON for a key in its own words."""
    if connections[using].vendor == "sqlite" and '"' in receiver:
        # By its path none is found that has a quote in it.
        return "EXISTS (SELECT 1 FROM json_each(receivers) WHERE key = %s)", (receiver,)
    query = EventRecord.objects.using(using).filter(receivers__has_key=receiver).query
    compiler = query.get_compiler(connection=connections[using])
    # Gives the table its name in the statement.
    compiler.pre_sql_setup()
    sql, params = compiler.compile(query.where)
    return sql, tuple(params)
