"""How long a statement waits for another transaction's lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from traceback import clear_frames
from typing import Any

from django.db import Error, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import QuerySet

# Milliseconds a thread beside the pool waits for a lock.
PATIENCE = 500

# The same of SQLite's one lock, which everybody has now and then.
_SQLITE_PATIENCE = 2000
# Seconds between two questions for SQLite's lock.
ASK_EVERY = 0.002

# PostgreSQL's and MySQL's.
_TIMED_OUT = {"55P03", 1205}


@contextmanager
def writing(using: str, ask_every: float = ASK_EVERY) -> Iterator[None]:
    """A transaction that writes from its beginning on.

    SQLite has one writer at a time, and whoever waits asks again after 1, 2, 5, … 100 ms: a relay and a worker that
    take turns for milliseconds sleep through each other's pauses. Here it is asked every few of them, for as long in
    all.

    `ask_every`: seconds between two questions for that lock.
    """
    connection = connections[using]
    with ExitStack() as ending:
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            _begin_soon(connection, ending, ask_every)
        else:
            ending.enter_context(transaction.atomic(using=using))
        yield


def _begin_soon(connection: BaseDatabaseWrapper, ending: ExitStack, ask_every: float) -> None:
    connection.ensure_connection()
    # Milliseconds, whoever set it: the project's OPTIONS, a statement of its own, or SQLite.
    [patience] = connection.connection.execute("PRAGMA busy_timeout").fetchone()
    until = time.monotonic() + patience / 1000
    connection.connection.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                ending.enter_context(transaction.atomic(using=connection.alias))
                return
            except OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                # Django's errors refer to themselves by their frames, and those to a cursor. SQLite keeps a closed
                # connection's lock for as long as it has one: a receiver that closes it would lock out all others.
                clear_frames(error.__traceback__)
            time.sleep(ask_every)
    finally:
        connection.connection.execute(f"PRAGMA busy_timeout = {patience}")


# Whether the thread is one that a fork waits for.
_of_thread = threading.local()


def begin_to_wait_briefly() -> None:
    """For good, of a thread that a fork waits for.

    The lock it waits for may be a hanging receiver's, whose time limit the forking process enforces: all three would
    wait until the thread gives up. So its connections to SQLite wait briefly, those it opens later too, and nothing is
    repeated at once; elsewhere `limited_waiting` is for each transaction.
    """
    _of_thread.waits_briefly = True
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _wait_briefly(connection)


def waits_briefly() -> bool:
    return getattr(_of_thread, "waits_briefly", False)


def _wait_briefly(connection: BaseDatabaseWrapper) -> None:
    if connection.vendor == "sqlite":
        connection.connection.execute(f"PRAGMA busy_timeout = {_SQLITE_PATIENCE}")


def _of_new_connections(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if waits_briefly():
        _wait_briefly(connection)


connection_created.connect(_of_new_connections, dispatch_uid="events.waiting")


@contextmanager
def limited_waiting(using: str, milliseconds: int = PATIENCE) -> Iterator[None]:
    """For the transaction now open: a claim may linger in the server long after its process died."""
    connection = connections[using]
    if connection.vendor == "mysql":
        with _limited_in_session(connection, _seconds(connection, milliseconds)):
            yield
        return
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {int(milliseconds)}")
    yield


def _seconds(connection: BaseDatabaseWrapper, milliseconds: int) -> int:
    """InnoDB counts in seconds, and only MariaDB knows 0: not to wait at all."""
    is_mariadb: bool = connection.mysql_is_mariadb  # type: ignore[attr-defined]
    return 0 if is_mariadb and milliseconds < 100 else -(-milliseconds // 1000)


@contextmanager
def _limited_in_session(connection: BaseDatabaseWrapper, seconds: int) -> Iterator[None]:
    """There is no limit for one transaction alone: what the session had before is set again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SET @events_had = @@SESSION.innodb_lock_wait_timeout, SESSION innodb_lock_wait_timeout = %s",
            [seconds],
        )
    try:
        yield
    finally:
        # The driver's own cursor: Django's refuses a transaction that is to be rolled back. A connection that is
        # gone has taken its session along.
        if connection.connection is not None:
            with suppress(Error), connection.wrap_database_errors:
                connection.connection.cursor().execute("SET SESSION innodb_lock_wait_timeout = @events_had")


def is_lock_timeout(error: BaseException) -> bool:
    cause = error.__cause__
    codes = {getattr(cause, "sqlstate", None), *getattr(cause, "args", ())[:1]}
    return not codes.isdisjoint(_TIMED_OUT)


def skipping_locked(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those of `rows` that nobody else has locked, locked; all, where the database locks no rows."""
    features = connections[rows.db].features
    if not features.has_select_for_update:
        return rows
    return rows.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
