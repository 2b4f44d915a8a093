"""What the checks of the bus say now."""

from __future__ import annotations

from django.core import checks


def messages() -> list[tuple[str, str, str]]:
    found = checks.run_checks(tags=["offload"])
    return [(message.id or "", message.msg, message.hint or "") for message in found]


def levels() -> list[int]:
    return [message.level for message in checks.run_checks(tags=["offload"])]
