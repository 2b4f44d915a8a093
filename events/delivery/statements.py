"""The statements of every message, written by hand: the ORM would take three times as long to say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType, NoneType
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model
from django.db.models.constants import OnConflict

from events.clock import after_sql
from events.drivers import lean_cursor, takes_arrays
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
    named = {**_BLANK, **values}
    said = _insertion(using, tuple(named), tuple(times.items()), str(values["receiver"]), where_none_is)
    params = [of_record(connection, name, value) for name, value in named.items()]
    with lean_cursor(connection) as cursor:
        cursor.execute(
            f"{said.start} WHERE {among(connection, len(ids))} AND {said.end}",
            [*params, *said.times, *as_keys(connection, ids), *said.receiver],
        )
        return int(cursor.rowcount)


class _Insertion(NamedTuple):
    """What statements share that differ in their events alone: what is before and after those, and its parameters."""

    start: str
    end: str
    times: Sequence[Any]
    receiver: Sequence[Any]


@lru_cache(maxsize=1024)
def _insertion(
    using: str,
    names: Sequence[str],
    times: Sequence[tuple[str, float]],
    receiver: str,
    where_none_is: bool,
) -> _Insertion:
    connection = connections[using]
    quote = connection.ops.quote_name
    moments = [after_sql(using, seconds) for _, seconds in times]
    columns = ["event_id", *names, *(name for name, _ in times)]
    row = [quote("id"), *["%s"] * len(names), *(moment for moment, _ in moments)]
    lists, named = _lists(using, receiver)
    on_conflict = OnConflict.IGNORE if where_none_is else None
    start = connection.ops.insert_statement(on_conflict=on_conflict)
    end = connection.ops.on_conflict_suffix_sql([], on_conflict, [], [])
    # Names only from our own models; every value is a parameter.
    return _Insertion(
        start=f"{start} {table(connection, Delivery)} ({', '.join(map(quote, columns))}) "  # noqa: S608
        f"SELECT {', '.join(row)} FROM {table(connection, EventRecord)}",
        end=f"{lists} ORDER BY {quote('id')} {end}",
        times=[param for _, some in moments for param in some],
        receiver=named,
    )


# Every driver takes them as they are.
_PLAIN = frozenset({str, int, bool, NoneType})


def prepared(connection: BaseDatabaseWrapper, field: Field[Any, Any], value: object) -> Any:
    """As a parameter of a statement that writes it to the field."""
    return value if type(value) in _PLAIN else field.get_db_prep_save(value, connection)


def of_record(connection: BaseDatabaseWrapper, name: str, value: object) -> Any:
    """The same of a delivery's record."""
    return prepared(connection, Delivery._meta.get_field(name), value)  # type: ignore[arg-type]


def known_records(using: str, ids: Sequence[UUID], receiver: str) -> list[tuple[int, UUID, int]]:
    """Key, event and attempt of the records that say sent, and not careful; locked, in the order of ids."""
    connection = connections[using]
    quote = connection.ops.quote_name
    among_them = among(connection, len(ids), "event_id")
    statement = (
        f"SELECT {quote('id')}, {quote('event_id')}, {quote('attempt')} FROM {table(connection, Delivery)} "  # noqa: S608
        f"WHERE {among_them} AND {quote('receiver')} = %s AND {quote('state')} = %s "
        f"AND NOT {quote('careful')} ORDER BY {quote('event_id')}{for_update(connection)}"
    )
    with lean_cursor(connection) as cursor:
        cursor.execute(statement, [*as_keys(connection, ids), receiver, State.SENT.value])
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


def spelled(value: UUID | str) -> str:
    """With its hyphens, as messages have it, which have a hundred: by way of a UUID it takes three times as long."""
    if isinstance(value, str) and len(value) == 32:
        return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"
    return str(value)


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
        params.append(of_record(connection, name, value))
    for name, seconds in times.items():
        moment, some = after_sql(using, seconds)
        sets.append(f"{quote(name)} = {moment}")
        params += some
    with lean_cursor(connection) as cursor:
        cursor.execute(
            f"UPDATE {table(connection, Delivery)} SET {', '.join(sets)} WHERE {among(connection, len(keys))}",  # noqa: S608
            [*params, *as_parameters(connection, keys)],
        )


def table(connection: BaseDatabaseWrapper, model: type[Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def among(connection: BaseDatabaseWrapper, keys: int, column: str = "id") -> str:
    """That the column is one of so many keys, which are parameters `as_parameters` gives."""
    name = connection.ops.quote_name(column)
    if takes_arrays(connection):
        # However many: the server keeps one plan for all.
        return f"{name} = ANY(%s)"
    return f"{name} IN ({', '.join(['%s'] * keys)})"


def as_parameters(connection: BaseDatabaseWrapper, keys: Sequence[Any]) -> list[Any]:
    return [list(keys)] if takes_arrays(connection) else list(keys)


def as_keys(connection: BaseDatabaseWrapper, ids: Sequence[UUID]) -> list[Any]:
    """Of events, as `among` takes them."""
    pk = EventRecord._meta.pk
    return as_parameters(connection, [pk.get_db_prep_value(id, connection) for id in ids])


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
