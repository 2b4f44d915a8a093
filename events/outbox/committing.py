"""A commit's last statement and its COMMIT in one round trip, where the driver can send both at once.

What it saves, and what dies when, is in docs/decisions/0018-written-later.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import django
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from events.drivers import is_psycopg_3


def can_commit(connection: BaseDatabaseWrapper) -> bool:
    """Whether `statement; COMMIT` does what the connection's own commit() would do after the statement."""
    return (
        connection.vendor == "postgresql"
        and is_psycopg_3()
        # There commit() is an error.
        and not connection.in_atomic_block
        # They may have something to do between the two.
        and not connection.execute_wrappers
        and _sends_several(connection.connection)
        and _commits_plainly(connection)
    )


@contextmanager
def cancelled_when_interrupted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Around such a statement: a signal's exception strikes here, and the server would go on to the COMMIT."""
    from psycopg.pq import TransactionStatus  # noqa: PLC0415 - as below

    try:
        yield
    except Error:
        raise
    except BaseException:
        driver = connection.connection
        if driver is not None and driver.info.transaction_status == TransactionStatus.ACTIVE:
            driver.cancel()
        raise


def _sends_several(driver: Any) -> bool:
    # The server takes several statements only where it is sent no parameters beside them.
    from psycopg import ClientCursor  # noqa: PLC0415 - installed where it is asked for
    from psycopg.pq import PipelineStatus  # noqa: PLC0415

    return (
        issubclass(driver.cursor_factory, ClientCursor) and driver.info.pipeline_status == PipelineStatus.OFF
    )


def _commits_plainly(connection: BaseDatabaseWrapper) -> bool:
    """Another backend's, or one that something has been put around, may have something to do first."""
    import psycopg  # noqa: PLC0415 - as above

    backend, driver = type(connection), type(connection.connection)
    return (
        _is_of(django, backend.commit)
        and _is_of(django, backend._commit)  # type: ignore[attr-defined]
        and _is_of(psycopg, driver.commit)
        and "commit" not in vars(connection.connection)
    )


def _is_of(package: Any, method: Any) -> bool:
    return type(method) is FunctionType and method.__code__.co_filename.startswith(package.__path__[0])
