"""What the database's driver can do, and Django doesn't ask of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from events.conf import settings

# Uses of a statement before the next one is prepared.
_USES = 5
# Seconds a plan is kept.
_REPLAN = 1.0

# The driver's connection → when its plans were last discarded.
_planned: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


@cache
def is_psycopg_3() -> bool:
    """Of a connection to PostgreSQL."""
    # Imported where the vendor is known: its module needs a driver.
    from django.db.backends.postgresql.psycopg_any import is_psycopg3  # noqa: PLC0415

    return is_psycopg3


def takes_arrays(connection: BaseDatabaseWrapper) -> bool:
    """Whether a list of keys can be one parameter."""
    return connection.vendor == "postgresql" and is_psycopg_3()


def lean_cursor(connection: BaseDatabaseWrapper) -> AbstractContextManager[CursorWrapper]:
    """A cursor that hands a statement's parameters to the server beside its text, where the driver can.

    Django has psycopg write them into the text, in Python, so that no two statements are alike. These are, and with
    `EVENTS["PREPARED_STATEMENTS"]` the server keeps their plans. See docs/decisions/0012-speed.md.
    """
    return _lean_cursor(connection) if _may_be_lean(connection) else connection.cursor()


def _may_be_lean(connection: BaseDatabaseWrapper) -> bool:
    if not takes_arrays(connection) or connection.queries_logged:
        # What is logged had better be read: of a kept plan Django knows no text.
        return False
    connection.ensure_connection()
    # Not where it is somebody's own, or this one already.
    return connection.connection.cursor_factory is _factories()[0]


@contextmanager
def _lean_cursor(connection: BaseDatabaseWrapper) -> Iterator[CursorWrapper]:
    driver, (usual, lean) = connection.connection, _factories()
    driver.cursor_factory = lean
    try:
        cursor = connection.cursor()
    finally:
        driver.cursor_factory = usual
    with cursor, _keeping_plans(connection, cursor):
        yield cursor


@contextmanager
def _keeping_plans(connection: BaseDatabaseWrapper, cursor: CursorWrapper) -> Iterator[None]:
    """For these statements alone: of all others the driver would keep a hundred texts, values and all.

    And in a transaction alone: where one of them fails because its plan is no good, it is a ROLLBACK that has the
    driver forget it.
    """
    driver = connection.connection
    before = driver.prepare_threshold
    if not connection.in_atomic_block or (before is None and not settings.PREPARED_STATEMENTS):
        yield
        return
    driver.prepare_threshold = _USES
    try:
        _plan_anew(driver, cursor)
        yield
    finally:
        driver.prepare_threshold = before


def _plan_anew(driver: Any, cursor: CursorWrapper) -> None:
    """A plan of when a table was small reads all of it, and would be kept until somebody analyses the table."""
    now = time.monotonic()
    if now - _planned.get(driver, now - _REPLAN) >= _REPLAN:
        cursor.execute("DISCARD PLANS")
        _planned[driver] = now


@cache
def _factories() -> tuple[Any, Any]:
    from django.db.backends.postgresql.base import Cursor, ServerBindingCursor  # noqa: PLC0415 - as above

    return Cursor, ServerBindingCursor
