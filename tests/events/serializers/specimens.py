"""Values for the fields of `Specimen`: as they come back from the database, and as a program may assign them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from tests.zoo.models import Diet, Size

UUID_4 = UUID("a3bb189e-8bf9-4c4e-ae16-0cf4eb0a3e1c")
BERLIN = dt.timezone(dt.timedelta(hours=2))
# Saved without a zone, a moment is meant in the default one.
NOON = timezone.make_aware(dt.datetime(2024, 2, 29, 12), timezone.get_default_timezone())  # noqa: DTZ001

VALUES: dict[str, list[Any]] = {
    "big_integer": [0, -(2**63), 2**63 - 1],
    "binary": [b"", b"\x00\xff\n"],
    "boolean": [True, False],
    "char": ["", 'Ünïcödé 🐦 \x7f "quoted" </script>'],
    "date": [dt.date.min, dt.date(2024, 2, 29), dt.date.max],
    "date_time": [
        NOON,
        dt.datetime(2024, 10, 27, 2, 30, 0, 1, BERLIN),
        dt.datetime(1950, 1, 1, tzinfo=dt.UTC),
    ],
    "decimal": [Decimal("0.100000"), Decimal("-12345678901234.567890")],
    "duration": [dt.timedelta(0), dt.timedelta(days=-1, microseconds=1), dt.timedelta(days=99999, seconds=5)],
    "email": ["ann@example.com"],
    "file": ["", "papers/a b.pdf"],
    "file_path": ["/tmp/x"],  # never opened
    "float": [0.1, -1e308, 2.0, 5e-324],
    "generic_ip_address": ["192.0.2.1", "2001:db8::1"],
    "image": ["", "covers/b.png"],
    "integer": [0, -(2**31), 2**31 - 1],
    "json": [{}, {"a": [1, 1.0, None, True, {"b": "c"}]}, [], "text", 0, False, {"$": "uuid", "v": "x"}],
    "json_of_types": [{"n": 1, "text": "1.10"}],
    "positive_big_integer": [2**63 - 1],
    "positive_integer": [2**31 - 1],
    "positive_small_integer": [0, 32767],
    "slug": ["a-b_c"],
    "small_integer": [-32768, 32767],
    "text": ["", "line\nline", "日本"],
    "time": [dt.time(0), dt.time(23, 59, 59, 999999)],
    "url": ["https://example.com/?a=b&c"],
    "uuid": [UUID_4],
    "diet": ["meat"],
    "size": [2],
}

# As assigned, and as it has to arrive.
ASSIGNED: dict[str, list[tuple[Any, Any]]] = {
    "big_integer": [("42", 42), (True, 1), (7.0, 7)],
    "binary": [(memoryview(b"ab"), b"ab"), (bytearray(b"ab"), b"ab")],
    "boolean": [(1, True), (0, False), ("True", True), ("f", False)],
    "char": [(12, "12"), (gettext_lazy("Yes"), "Yes"), (mark_safe("<b>"), "<b>"), (Diet.MEAT, "meat")],
    "date": [("2024-02-29", dt.date(2024, 2, 29)), (NOON, timezone.localdate(NOON))],
    "date_time": [("2024-02-29T12:00:00Z", dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC))],
    "decimal": [("1.10", Decimal("1.10")), (3, Decimal(3)), (0.5, Decimal("0.5"))],
    "duration": [],
    "email": [(mark_safe("a@b.example"), "a@b.example")],
    "file": [(mark_safe("a.txt"), "a.txt")],
    "file_path": [(Path("/srv/x"), "/srv/x")],
    "float": [("0.5", 0.5), (2, 2.0), (Decimal("0.25"), 0.25)],
    "generic_ip_address": [("2001:DB8:0::1", "2001:db8::1"), ("::FFFF:192.0.2.1", "::ffff:192.0.2.1")],
    "image": [(mark_safe("a.png"), "a.png")],
    "integer": [("-5", -5), (Size.LARGE, 2)],
    "json": [({"a": (1, 2)}, {"a": [1, 2]}), ({1: 2}, {"1": 2}), (Diet.MEAT, "meat")],
    "json_of_types": [
        ({"u": UUID_4, "at": dt.date(2024, 2, 29)}, {"u": str(UUID_4), "at": "2024-02-29"}),
        ({"fraction": 1.5}, {"fraction": Decimal("1.5")}),
    ],
    "positive_big_integer": [("1", 1)],
    "positive_integer": [("1", 1)],
    "positive_small_integer": [("1", 1)],
    "slug": [(mark_safe("a"), "a")],
    "small_integer": [("1", 1)],
    "text": [(1.5, "1.5"), (gettext_lazy("No"), "No")],
    "time": [("10:30", dt.time(10, 30)), (NOON, dt.time(12))],
    "url": [(mark_safe("https://a.example"), "https://a.example")],
    "uuid": [(str(UUID_4), UUID_4), (UUID_4.hex, UUID_4), (UUID_4.int, UUID_4)],
    "diet": [(Diet.PLANTS, "plants")],
    "size": [(Size.SMALL, 1), ("2", 2)],
}

# Those that Django refuses to save, or warns of, but that an instance may hold when another signal fires.
UNSAVED: dict[str, list[tuple[Any, Any]]] = {
    "date_time": [
        ("2024-02-29 12:00", NOON),
        (dt.datetime(2024, 2, 29, 12), NOON),  # noqa: DTZ001  # naive, which is what it is about
        (dt.date(2024, 2, 29), NOON.replace(hour=0)),
    ],
    "duration": [("1 02:00:00", dt.timedelta(days=1, hours=2)), ("P1DT2H", dt.timedelta(days=1, hours=2))],
    "generic_ip_address": [(" 192.0.2.1 ", "192.0.2.1"), (ip_address("192.0.2.1"), "192.0.2.1")],
}
