"""The databases whose transactions emit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.db import connections

from events.databases import outbox_aliases


@checks.register("offload")
def check_databases(**kwargs: Any) -> list[checks.CheckMessage]:
    known = [alias for alias in outbox_aliases() if alias in connections]
    return [message for alias in known for message in _doubtful(alias)]


def _doubtful(alias: str) -> Iterator[checks.CheckMessage]:
    connection = connections[alias]
    given = connection.settings_dict
    if not given["ATOMIC_REQUESTS"]:
        yield checks.Warning(
            f"DATABASES[{alias!r}] lacks ATOMIC_REQUESTS: outside atomic() Django sends post_save after the row is "
            f"committed, so a process that dies just then keeps the row and loses the event.",
            hint=f"Set DATABASES[{alias!r}]['ATOMIC_REQUESTS'] = True, or open transaction.atomic() around every "
            f"write and silence this.",
            id="offload.W004",
        )
    if connection.vendor == "sqlite" and _mode(given) not in {"IMMEDIATE", "EXCLUSIVE"}:
        yield checks.Warning(
            f"DATABASES[{alias!r}] lacks transaction_mode: on SQLite two transactions that read first and write then "
            f"can only fail with 'database is locked'.",
            hint=f"Set DATABASES[{alias!r}]['OPTIONS']['transaction_mode'] = 'IMMEDIATE'.",
            id="offload.W005",
        )


def _mode(given: dict[str, Any]) -> str:
    return str(given.get("OPTIONS", {}).get("transaction_mode") or "").upper()
