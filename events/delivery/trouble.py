"""Errors of the database that say nothing about the receiver: the chunk is repeated and no try is used."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from events.delivery.waiting import waits_briefly

_REPEATS = 8

T = TypeVar("T")

# Classes of SQLSTATE: connection lost, rolled back for another's sake, server shutting down.
_PASSING = ("08", "40", "57P")
# No such prepared statement: somebody had the server forget them. The driver does with the ROLLBACK.
_FORGOTTEN = "26000"
_SQLITE = ("database is locked", "database table is locked")
_MYSQL = {
    1205, 1213,  # lock wait timeout, deadlock
    1020,  # the row has changed since this transaction's snapshot
    1053, 1927, 4031,  # the server shuts down, or has ended this connection
    1040, 1203,  # it has no connection free
    2002, 2003, 2006, 2013, 2055,  # it can't be reached, or is gone
    0,  # the driver's, for a connection that is closed already
}  # fmt: skip


class Overtaken(OperationalError):
    """What one statement saw was gone for the next."""


def is_passing(error: BaseException, connection: BaseDatabaseWrapper) -> bool:
    if connection.closed_in_transaction:
        # Django sets it for close() alone: that was the receiver.
        return False
    if getattr(error.__cause__, "sqlstate", None) == _FORGOTTEN:
        return True
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    if connection.vendor == "sqlite":
        return any(text in str(error) for text in _SQLITE)
    if connection.vendor == "mysql":
        return bool(error.args) and error.args[0] in _MYSQL
    return _passes_on_postgresql(error, connection)


def _passes_on_postgresql(error: BaseException, connection: BaseDatabaseWrapper) -> bool:
    state = getattr(error.__cause__, "sqlstate", None)
    # psycopg gives no state when the server closed the socket under it.
    if state:
        return bool(state.startswith(_PASSING))
    return connection.connection is None or not connection.is_usable()


class NotBegun(Exception):
    """The relay sends these deliveries again: nothing of them is recorded."""


def repeated(using: str, action: Callable[[], T]) -> T:
    """The action's result; errors that pass by themselves (deadlock, lost connection) repeat it, and use no try."""
    # Of a thread that a fork waits for, whoever calls it repeats.
    repeats = 1 if waits_briefly() else _REPEATS
    for repeat in range(repeats):
        try:
            return action()
        except Exception as error:
            connection = connections[using]
            cause = error.__cause__ if isinstance(error, NotBegun) and error.__cause__ else error
            passes = isinstance(cause, Overtaken) or is_passing(cause, connection)
            if repeat == repeats - 1 or connection.in_atomic_block or not passes:
                raise
            connection.close_if_unusable_or_obsolete()
            # Two that met in a deadlock must not meet again.
            time.sleep(random.uniform(0.5, 1) * 0.02 * 2**repeat)
    raise AssertionError("unreachable")
