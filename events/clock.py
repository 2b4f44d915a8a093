"""The database's clock, the only one the bus compares times by."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import connections
from django.db.models import DateTimeField, Expression, ExpressionWrapper
from django.db.models.functions import Now

from events.expressions import compiled
from events.models import Delivery

# Seconds until the relay looks for what was published, sent or begun, and hasn't been heard of.
LOOK_AFTER = 15


def after(seconds: float) -> Expression:
    """An expression: the database's now, plus `seconds`."""
    if not seconds:
        return Now()
    return ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())


def now(using: str) -> datetime:
    """What to subtract a stored time from: without USE_TZ, SQLite's clock is hours off Django's."""
    connection, expression = connections[using], Now()
    sql, params = compiled(using, Delivery, expression)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sql}", params)
        (value,) = cursor.fetchone()
    # As a query does with each of its columns.
    for convert in (
        *connection.ops.get_db_converters(expression),
        *expression.get_db_converters(connection),
    ):
        value = convert(value, expression, connection)
    moment: datetime = value
    return moment


@lru_cache(maxsize=64)
def after_sql(using: str, seconds: float) -> tuple[str, tuple[Any, ...]]:
    """The same as SQL and its parameters, for statements written by hand."""
    return compiled(using, Delivery, after(seconds))


def asked(using: str, *seconds: float) -> tuple[Any, ...]:
    """The database's now plus each of these, as values that its statements take: for many rows, or for COPY."""
    moments = [after_sql(using, some) for some in seconds]
    connection = connections[using]
    # PostgreSQL's driver would make datetimes of them.
    form = "({})::text" if connection.vendor == "postgresql" else "{}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(form.format(sql) for sql, _ in moments)}",
            [param for _, params in moments for param in params],
        )
        return tuple(cursor.fetchone())
