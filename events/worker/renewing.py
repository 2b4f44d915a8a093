"""Connections of a pool's process, before each message."""

from __future__ import annotations

import time
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

# Seconds within which a connection that was used is not asked whether the server is still there: a round trip for
# each message. One that was cut since costs a message a repetition: see events.delivery.trouble.
_USABLE = 1.0
# When each last began a message, by the monotonic clock.
_begun_at: WeakKeyDictionary[BaseDatabaseWrapper, float] = WeakKeyDictionary()


def renew_connections(*, trusting: bool) -> None:
    """One that the server cut would fail every message from here on; CELERY_DB_REUSE_MAX keeps Celery from it.

    `trusting`: one that was just used; for a message of ours, that is repeated where it was cut since.
    """
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["CONN_MAX_AGE"] == 0:
            # It means: closed after each request. How many messages one lasts, CELERY_DB_REUSE_MAX says.
            connection.close_at = None
        connection.close_if_unusable_or_obsolete()
        now = time.monotonic()
        if trusting and now - _begun_at.get(connection, float("-inf")) < _USABLE:
            connection.health_check_done = True  # type: ignore[attr-defined]
        _begun_at[connection] = now
