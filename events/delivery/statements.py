"""The statements of every message, written by hand: the ORM would take three times as long to say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from events.clock import after_sql
from events.models import Delivery, EventRecord, State

# What every record begins with; a column that nobody names is NULL.
_BLANK: Mapping[str, object] = {"tries": 0, "attempt": 0, "careful": False, "reason": "", "error": ""}


def insert_records(
    using: str, ids: Sequence[UUID], values: Mapping[str, object], times: Mapping[str, float]
) -> int:
    """One plain INSERT of a record for each of the events that is in the outbox, in the order of ids; how many.

    They differ in their event alone; `times`: seconds from the database's now, by column. Raises `IntegrityError`
    where one is there already.
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
    # Names only from our own models; every value is a parameter.
    statement = (
        f"INSERT INTO {quote(Delivery._meta.db_table)} ({', '.join(map(quote, columns))}) "  # noqa: S608
        f"SELECT {', '.join(row)} FROM {_events(connection)} WHERE {among} ORDER BY {quote('id')}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*params, *keys])
        return int(cursor.rowcount)


def count_listed(using: str, ids: Sequence[UUID], receiver: str) -> int:
    """How many of the events are in the outbox and list the receiver."""
    connection = connections[using]
    among, keys = _among(connection, ids)
    lists, name = _lists(using, receiver)
    return _count(connection, f"{_events(connection)} WHERE {among} AND {lists}", [*keys, *name])


def count_claimed(using: str, message_id: UUID, token: int) -> int:
    """How many records of that claim say done."""
    connection = connections[using]
    quote = connection.ops.quote_name
    where = f"{quote('message_id')} = %s AND {quote('claim')} = %s AND {quote('state')} = %s"
    id = Delivery._meta.get_field("message_id").get_db_prep_save(message_id, connection)
    rows = f"{quote(Delivery._meta.db_table)} WHERE {where}"
    return _count(connection, rows, [id, token, State.DONE.value])


def _count(connection: BaseDatabaseWrapper, rows: str, params: Sequence[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {rows}", params)  # noqa: S608 - as above
        [count] = cursor.fetchone()
    return int(count)


def _events(connection: BaseDatabaseWrapper) -> str:
    return connection.ops.quote_name(EventRecord._meta.db_table)


def _among(connection: BaseDatabaseWrapper, ids: Sequence[UUID]) -> tuple[str, list[Any]]:
    marks = ", ".join(["%s"] * len(ids))
    pk = EventRecord._meta.pk
    keys = [pk.get_db_prep_value(id, connection) for id in ids]
    return f"{connection.ops.quote_name('id')} IN ({marks})", keys


@lru_cache(maxsize=1024)
def _lists(using: str, receiver: str) -> tuple[str, tuple[Any, ...]]:
    """That an event lists the receiver: each database asks JSON for a key in its own words."""
    query = EventRecord.objects.using(using).filter(receivers__has_key=receiver).query
    compiler = query.get_compiler(connection=connections[using])
    # Gives the table its name in the statement.
    compiler.pre_sql_setup()
    sql, params = compiler.compile(query.where)
    return sql, tuple(params)
