"""Errors of the database that say nothing about the receiver: the chunk is repeated and no try is used."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

# Classes of SQLSTATE: connection lost, rolled back for another's sake, server shutting down.
_PASSING = ("08", "40", "57P")
_SQLITE = ("database is locked", "database table is locked")
# Lock wait timeout, deadlock, server gone away, lost connection.
_MYSQL = {1205, 1213, 2006, 2013}


def is_passing(error: BaseException, connection: BaseDatabaseWrapper) -> bool:
    if connection.closed_in_transaction:
        # Django sets it for close() alone: that was the receiver.
        return False
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    if connection.vendor == "sqlite":
        return any(text in str(error) for text in _SQLITE)
    if connection.vendor == "mysql":
        return bool(error.args) and error.args[0] in _MYSQL
    state = getattr(error.__cause__, "sqlstate", None)
    # psycopg gives no state when the server closed the socket under it.
    if state:
        return bool(state.startswith(_PASSING))
    return connection.connection is None or not connection.is_usable()
