"""Text and number forms of Python's own values: exact, and safe in any JSON."""

from __future__ import annotations

import base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from events.serializers.json_type import Json

# Beyond it JSON libraries round, refuse or take quadratic time: such a number travels as hexadecimal text.
BIGGEST_INT = 2**63 - 1


def dump_int(value: int) -> int | str:
    return value if -BIGGEST_INT <= value <= BIGGEST_INT else hex(value)


def load_int(value: int | str) -> int:
    return int(value, 16) if isinstance(value, str) else int(value)


def dump_float(value: float) -> float | str:
    return value if isfinite(value) else repr(value)


load_float = float


def dump_text(value: str) -> str:
    """Raises `UnicodeEncodeError` for a lone surrogate, which neither JSON nor a database takes."""
    if not value.isascii():
        value.encode()
    return value


def plain_text(value: str) -> str:
    """The exact `str` in an instance of a subclass, whatever its `__str__` says (an Enum's is its name)."""
    return str.__str__(value)


def dump_bytes(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


def load_bytes(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def dump_timedelta(value: timedelta) -> list[Json]:
    return [value.days, value.seconds, value.microseconds]


def load_timedelta(value: list[int]) -> timedelta:
    return timedelta(*value)


dump_uuid = UUID.__str__
load_uuid = UUID
dump_decimal = Decimal.__str__
load_decimal = Decimal
dump_date = date.isoformat
load_date = date.fromisoformat


def dump_moment(value: datetime | time) -> dict[str, Any]:
    """ISO text, with what that text leaves out: the zone's name, and which of two equal wall-clock times."""
    form: dict[str, Any] = {"v": value.isoformat()}
    if isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key:
        form["zone"] = value.tzinfo.key
    if value.fold:
        form["fold"] = 1
    return form


def load_datetime(form: dict[str, Any]) -> datetime:
    value = datetime.fromisoformat(form["v"])
    if "zone" in form:
        value = value.astimezone(ZoneInfo(form["zone"]))
    return value.replace(fold=form.get("fold", 0))


def load_time(form: dict[str, Any]) -> time:
    value = time.fromisoformat(form["v"])
    if "zone" in form:
        value = value.replace(tzinfo=ZoneInfo(form["zone"]))
    return value.replace(fold=form.get("fold", 0))
