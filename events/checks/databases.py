"""The databases whose transactions emit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.db import connections

from events.conf import settings
from events.databases import clock_is_off, outbox_aliases, without_outbox


@checks.register("offload")
def check_databases(databases: Sequence[str] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """`databases`: those that may be asked, with `manage.py check --database` and `migrate`."""
    known = [alias for alias in outbox_aliases() if alias in connections]
    asked = [alias for alias in known if alias in (databases or ())]
    return [
        *(message for alias in known for message in _doubtful(alias)),
        *(message for alias in asked for message in _wrong_clock(alias)),
        *map(_unbound, without_outbox()),
    ]


def _unbound(alias: str) -> checks.CheckMessage:
    return checks.Warning(
        f"DATABASES[{alias!r}] has no outbox: what its transactions emit is stored on 'default', stays there when "
        f"they roll back, and may be lost when they commit.",
        hint=f"Let the routers migrate the app offload to it and name {alias!r} in EVENTS['DATABASES'], or silence "
        f"this where nothing on it emits.",
        id="offload.W010",
    )


def _doubtful(alias: str) -> Iterator[checks.CheckMessage]:
    connection = connections[alias]
    given = connection.settings_dict
    if not given["ATOMIC_REQUESTS"]:
        yield checks.Warning(
            f"DATABASES[{alias!r}] lacks ATOMIC_REQUESTS: outside atomic() Django sends post_save after the row is "
            f"committed, so a process that dies just then keeps the row and loses the event.",
            hint=f"Set DATABASES[{alias!r}]['ATOMIC_REQUESTS'] = True, or let the models inherit events.AtomicSave, or "
            f"open transaction.atomic() around every write; and silence this.",
            id="offload.W004",
        )
    if connection.vendor == "sqlite" and _mode(given) not in {"IMMEDIATE", "EXCLUSIVE"}:
        yield checks.Warning(
            f"DATABASES[{alias!r}] lacks transaction_mode: on SQLite two transactions that read first and write then "
            f"can only fail with 'database is locked'.",
            hint=f"Set DATABASES[{alias!r}]['OPTIONS']['transaction_mode'] = 'IMMEDIATE'.",
            id="offload.W005",
        )
    if connection.vendor == "postgresql" and _prepares_in_vain(given):
        yield checks.Warning(
            f"DATABASES[{alias!r}] has DISABLE_SERVER_SIDE_CURSORS, as behind a PgBouncer that lends connections for a "
            f"transaction: what is prepared on one is asked of another.",
            hint="Set EVENTS['PREPARED_STATEMENTS'] = False, or silence this where PgBouncer has "
            "max_prepared_statements.",
            id="offload.W011",
        )
    if not (django_settings.USE_TZ or connection.features.supports_timezones):
        yield checks.Warning(
            f"USE_TZ is False, and DATABASES[{alias!r}] has no time zones: its now is UTC, and Django reads it as "
            f"{connection.timezone_name}. Deliveries are on time; times on pages and in metrics are off.",
            hint="Set USE_TZ = True.",
            id="offload.W012",
        )
    if connection.vendor == "mysql" and _isolation(given) != "read committed":
        yield checks.Warning(
            f"DATABASES[{alias!r}] has an isolation_level other than 'read committed': MySQL then locks the gaps "
            f"between rows, so that receivers wait for each other, and a claim sees events that were pruned before it.",
            hint=f"Set DATABASES[{alias!r}]['OPTIONS']['isolation_level'] = 'read committed', Django's default.",
            id="offload.W008",
        )


def _wrong_clock(alias: str) -> Iterator[checks.CheckMessage]:
    off = clock_is_off(alias)
    if off:
        yield checks.Warning(
            f"The clock of DATABASES[{alias!r}] is {off.total_seconds() / 3600:+g} h off: MySQL's now has the time "
            f"zone of its session, and Django reads it as {connections[alias].timezone_name}. Where that zone has "
            f"summer time, retries and the relay stand still for an hour when it ends.",
            hint=f"Set DATABASES[{alias!r}]['OPTIONS']['init_command'] = \"SET time_zone = '+00:00'\".",
            id="offload.W009",
        )


def _prepares_in_vain(given: dict[str, Any]) -> bool:
    return bool(settings.PREPARED_STATEMENTS and given.get("DISABLE_SERVER_SIDE_CURSORS"))


def _isolation(given: dict[str, Any]) -> str:
    return str(given.get("OPTIONS", {}).get("isolation_level", "read committed")).lower()


def _mode(given: dict[str, Any]) -> str:
    return str(given.get("OPTIONS", {}).get("transaction_mode") or "").upper()
