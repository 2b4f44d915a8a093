"""Statements that touch the deliveries they name and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import connections

ONCE = "offload_delivery_once"
TURN = "offload_delivery_turn"

_TABLE = "`offload_delivery`"


@contextmanager
def by_index(using: str, name: str = ONCE) -> Iterator[None]:
    """Within it, deliveries are found through the index of that name: by event and receiver, or by whose turn it is.

    InnoDB locks what it reads, not what it returns. Where a message names a good part of the table, MySQL would read
    all of it, and wait for every receiver that has any delivery in hand.
    """
    connection = connections[using]
    if connection.vendor != "mysql":
        yield
        return
    with connection.execute_wrapper(partial(_hinted, f"{_TABLE} FORCE INDEX (`{name}`)")):
        yield


def never_all(using: str) -> None:
    """For the transaction now open, of statements that name their rows by hundreds of keys.

    PostgreSQL knows nothing of a table until somebody has analysed it, and would read all of it for each of them.
    """
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")


def _hinted(hinted: str, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    # Of a DELETE, only the form for many tables takes a hint.
    forms = {
        f"DELETE FROM {_TABLE}": f"DELETE {_TABLE} FROM {hinted}",  # noqa: S608 - names alone, and all our own
        f"UPDATE {_TABLE}": f"UPDATE {hinted}",
        f" FROM {_TABLE}": f" FROM {hinted}",
    }
    form = next((form for form in forms if form in sql), None)
    return execute(sql.replace(form, forms[form], 1) if form else sql, params, many, context)
