"""A connection that an interruption left in a transaction which nobody will end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """What the driver knows, without a query: SQLite's executescript() commits, and Django is not told."""
    driver: Any = connection.connection
    if driver is None:
        return False
    if connection.vendor == "sqlite":
        return bool(driver.in_transaction)
    if connection.vendor == "postgresql":
        # psycopg 3 and 2; 0 is idle.
        return bool(driver.info.transaction_status)
    return not driver.get_autocommit()


def reset(using: str) -> bool:
    """Outside of every `atomic()` nothing may be open: where it is, the connection goes, and Django's idea of it.

    A signal or a lack of memory strikes inside `atomic()` too, after its BEGIN and before it knows of it.
    """
    connection = connections[using]
    if _is_idle(connection):
        return False
    # As connect() sets them; close() itself only marks a connection that it believes in a block.
    connection.in_atomic_block = connection.closed_in_transaction = False
    connection.savepoint_ids, connection.atomic_blocks = [], []
    with suppress(Error):
        connection.close()
    connection.connection = None
    return True


def _is_idle(connection: BaseDatabaseWrapper) -> bool:
    if connection.in_atomic_block or connection.closed_in_transaction:
        return False
    return connection.connection is None or (connection.autocommit and not is_in_transaction(connection))
