"""Numbers as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from events.admin.showing import EMPTY

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(seconds: float | None) -> str:
    if seconds is None:
        return EMPTY
    if seconds == float("inf"):
        return ">1 h"
    for size, unit in _UNITS:
        if seconds >= size:
            number = seconds / size
            return f"{number:.1f} {unit}" if number < 10 and unit != "d" else f"{number:.0f} {unit}"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "<1 ms"


def milliseconds(number: float | None) -> str:
    return EMPTY if number is None else span(number / 1000)


def several(numbers: Sequence[float | None]) -> str:
    """Milliseconds beside each other, with one unit where it is the same."""
    texts = [milliseconds(number) for number in numbers]
    if len(set(texts)) == 1:
        return texts[0]
    units = {text.rpartition(" ")[2] for text in texts}
    if len(units) == 1:
        return f"{' / '.join(text.rpartition(' ')[0] for text in texts)} {units.pop()}"
    return " / ".join(texts)


def ago(at: datetime | None) -> str:
    return seconds_ago(None if at is None else (timezone.now() - at).total_seconds())


def seconds_ago(seconds: float | None) -> str:
    return EMPTY if seconds is None else f"{span(max(seconds, 0.0))} ago"


def rate(per_minute: float) -> str:
    return f"{per_minute:,.0f}" if per_minute >= 10 or not per_minute else f"{per_minute:.1f}"


def at_least(number: int, *, more: bool) -> str:
    """`more`: than were counted."""
    return f"> {number:,}" if more else f"{number:,}"


def percent(share: float | None) -> str:
    if share is None:
        return EMPTY
    return f"{share:.0%}" if share in (0, 1) or share >= 0.1 else f"{share:.1%}"
