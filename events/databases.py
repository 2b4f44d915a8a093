"""The database aliases that have an outbox."""

from __future__ import annotations

from datetime import UTC, timedelta
from functools import lru_cache

from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS, connections, router

from events.conf import settings
from events.models import EventRecord


def outbox_aliases() -> tuple[str, ...]:
    """EVENTS["DATABASES"], else every alias the routers let the bus migrate; replicas of others left out."""
    if settings.DATABASES is not None:
        return settings.DATABASES
    return tuple(alias for alias in connections if _is_primary(alias))


def _is_primary(alias: str) -> bool:
    return not _is_replica(alias) and router.allow_migrate_model(alias, EventRecord)


def _is_replica(alias: str) -> bool:
    return bool(connections[alias].settings_dict.get("TEST", {}).get("MIRROR"))


def without_outbox() -> tuple[str, ...]:
    """The aliases that may be written to, and whose events `outbox_for` stores on the default one."""
    having = {*outbox_aliases(), DEFAULT_DB_ALIAS}
    return tuple(alias for alias in connections if alias not in having and not _is_replica(alias))


@lru_cache(maxsize=64)
def outbox_for(using: str | None) -> str:
    """The alias whose outbox stores an event of a transaction on `using`."""
    if using is not None and using in outbox_aliases():
        return using
    return DEFAULT_DB_ALIAS


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting in {"EVENTS", "DATABASES", "DATABASE_ROUTERS"}:
        outbox_for.cache_clear()


setting_changed.connect(_forget, dispatch_uid="events.databases")


def clock_is_off(using: str) -> timedelta:
    """By how much the database's own now differs from what Django takes it for; MySQL's has the session's time zone."""
    connection = connections[using]
    if connection.vendor != "mysql" or connection.timezone is None:
        return timedelta()
    with connection.cursor() as cursor:
        cursor.execute("SELECT UTC_TIMESTAMP(6), CURRENT_TIMESTAMP(6)")
        utc, written = cursor.fetchone()
    expected = utc.replace(tzinfo=UTC).astimezone(connection.timezone).replace(tzinfo=None)
    off: timedelta = written - expected
    return off
