"""Whether a transaction is still the one that was begun, where neither Django nor the driver can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connections

from events.exceptions import BrokenTransaction

# "SAVEPOINT … does not exist"
_GONE = 1305


@contextmanager
def unbroken(using: str) -> Iterator[None]:
    """Raises `BrokenTransaction` where what ran within it committed: on MySQL every DDL statement does, in silence."""
    connection = connections[using]
    if connection.vendor != "mysql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT events_claim")
    yield
    try:
        with connection.cursor() as cursor:
            cursor.execute("RELEASE SAVEPOINT events_claim")
    except OperationalError as error:
        if error.args[0] != _GONE:
            raise
        raise BrokenTransaction(
            "The receiver committed the transaction it runs in: on MySQL, CREATE, ALTER, DROP and TRUNCATE do. "
            "Use offload(atomic=False)."
        ) from error
