"""Where a transaction goes on seeing what others have deleted since it began."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import connections

from events.models import EventRecord

# The driver's connection → whether each of its statements sees what is committed by then.
_reads_committed: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def assert_still_there(using: str, ids: Sequence[UUID]) -> None:
    """Raises an `OperationalError` that passes when it is repeated, where one of the events is seen and gone.

    Under REPEATABLE READ a claim that waited for a prune succeeds, and then sees the event that went with it. A lock
    is refused there. With READ COMMITTED, Django's default, there is nothing to ask.
    """
    connection = connections[using]
    if connection.vendor != "postgresql" or _is_read_committed(connection):
        return
    events = EventRecord.objects.using(using).filter(pk__in=ids)
    sql, params = events.order_by("pk").values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        # The weakest there is: it stands in the way of a deletion, and of nothing else.
        cursor.execute(f"{sql} FOR KEY SHARE", params)


def _is_read_committed(connection: Any) -> bool:
    # Asked, not read in the settings: the default may be the server's, or the role's.
    known = _reads_committed.get(connection.connection)
    if known is None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            known = cursor.fetchone()[0] == "read committed"
        _reads_committed[connection.connection] = known
    return known
