"""Charts as SVG, drawn here: colours come from the style sheet, which knows light and dark."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from events.operations.minutes import Bar
from events.texts import local

_WIDTH, _HEIGHT = 600, 120
_SPARK_WIDTH, _SPARK_HEIGHT = 120, 24
# From the bottom up.
_STACK = ("done", "skipped", "dead")


def hour(bars: Sequence[Bar]) -> SafeString:
    """Deliveries a minute, stacked by how they ended."""
    most = max((_ended(bar) for bar in bars), default=0)
    step = _WIDTH / max(len(bars), 1)
    drawn = format_html_join(
        "", "{}", ((_bar(bar, at * step, step, most or 1),) for at, bar in enumerate(bars))
    )
    return format_html(
        '<svg class="events-chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<line class="events-axis" x1="0" y1="{}" x2="{}" y2="{}"/>{}</svg>',
        _WIDTH,
        _HEIGHT,
        _told(bars, most),
        _HEIGHT,
        _WIDTH,
        _HEIGHT,
        drawn,
    )


def spark(numbers: Sequence[int], label: str) -> SafeString:
    """One line; nothing but its form matters."""
    most = max(numbers, default=0) or 1
    step = _SPARK_WIDTH / max(len(numbers) - 1, 1)
    points = " ".join(
        f"{at * step:.1f},{_SPARK_HEIGHT - 1 - number / most * (_SPARK_HEIGHT - 2):.1f}"
        for at, number in enumerate(numbers)
    )
    return format_html(
        '<svg class="events-spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polyline points="{}"/></svg>',
        _SPARK_WIDTH,
        _SPARK_HEIGHT,
        f"{label}: at most {most if any(numbers) else 0:,} a minute, {sum(numbers):,} in the last hour",
        points,
    )


def _ended(bar: Bar) -> int:
    return bar.done + bar.skipped + bar.dead


def _bar(bar: Bar, x: float, step: float, most: int) -> SafeString:
    parts, below = [], 0
    for name in _STACK:
        number = getattr(bar, name)
        if number:
            # However few: a dead letter among thousands is to be seen.
            height = max(number / most * _HEIGHT, 2)
            y = max(_HEIGHT - below / most * _HEIGHT - height, 0)
            parts.append((name, f"{x + 1:.1f}", f"{y:.1f}", f"{step - 2:.1f}", f"{height:.1f}"))
            below += number
    rects = format_html_join("", '<rect class="events-bar-{}" x="{}" y="{}" width="{}" height="{}"/>', parts)
    return format_html("<g><title>{}</title>{}</g>", _told_bar(bar), rects) if parts else SafeString("")


def _told_bar(bar: Bar) -> str:
    words = ", ".join(f"{getattr(bar, name):,} {name}" for name in _STACK if getattr(bar, name))
    return f"{local(bar.minute):%H:%M}: {words}"


def _told(bars: Sequence[Bar], most: int) -> str:
    total = sum(map(_ended, bars))
    return f"Deliveries a minute over the last hour: {total:,} ended, at most {most:,} in a minute"
