from __future__ import annotations

import logging
from typing import Any

from django.db import DatabaseError, transaction
from django.dispatch import Signal
from django.http import HttpRequest

logger = logging.getLogger(__name__)


def report(event: Signal, *, sender: Any, **fields: Any) -> None:
    """Emits an event *about* a request, after it: in a transaction of its own, and without ever failing the response.

    A database that is away has failed the request already, and would fail the report of that in the same way.
    """
    connection = transaction.get_connection()
    was_open = connection.connection is not None
    try:
        with transaction.atomic():
            event.send(sender=sender, **fields)
    except DatabaseError:
        logger.exception("event not stored event=%s fields=%s", event, fields)
    finally:
        if not was_open:
            # Under ASGI a failure is handled in a pool thread: the end of a request never looks at that one's
            # connection, and after a restart of the database it would be a dead one.
            connection.close()


def route_of(request: HttpRequest | None) -> str:
    """The pattern (`book/<slug:slug>/`), never the path: that may hold a token or a name."""
    match = getattr(request, "resolver_match", None)
    return match.route if match else ""
