"""A backlog's progress: drawn on a terminal, logged elsewhere."""

from __future__ import annotations

import logging
import time

from django.db import Error, connections

from events.databases import outbox_aliases
from events.management.console import Console
from events.operations.progress import Progress, ahead
from events.texts import duration

logger = logging.getLogger("events")

# Seconds between two looks; and as long again as looking may take a twentieth of the time.
_EVERY = 1.0
_SHARE = 20
# Seconds between two lines of a log, and the deliveries from which on a backlog is worth one.
_LOG_EVERY = 30.0
_WORTH = 1_000
# What the numbers are of, and how long the bar is; taken is the first that there is room for.
_WORDS = ("events to examine", "deliveries waiting")
_FEW_WORDS = ("events", "deliveries")
_FORMS = ((_WORDS, 24), (_WORDS, 12), (_FEW_WORDS, 24), (_FEW_WORDS, 12), (_FEW_WORDS, 0))


class Watch:
    """`look()` as often as you like: it asks the database once a second, and less often while that takes long."""

    def __init__(self, console: Console, log_every: float = _LOG_EVERY) -> None:
        self._console = console
        self._log_every = log_every
        self._progress = Progress()
        self._next = self._log_at = 0.0

    def look(self) -> None:
        began = time.monotonic()
        if began < self._next:
            return
        try:
            self._progress.add(began, ahead(outbox_aliases()))
        except Error as error:
            # The relay says so too, and goes on; so do we.
            logger.debug("events.relay progress=%r", error)
            connections.close_all()
        else:
            self._show(began)
        self._next = time.monotonic() + max(_EVERY, _SHARE * (time.monotonic() - began))

    def _show(self, at: float) -> None:
        if self._console.is_terminal:
            if self._progress.now.deliveries:
                self._console.progress(line(self._progress, self._console.width))
            else:
                self._console.end_progress()
        elif self._progress.now.deliveries >= _WORTH and at >= self._log_at:
            self._log_at = at + self._log_every
            logger.info("events.relay %s", pairs(self._progress))


def line(progress: Progress, width: int) -> str:
    """`[######......]  48 %  20,000 events to examine, 1,000 deliveries waiting, 3,100/s, 2 min left`.

    In as many words, and with as long a bar, as there is room for.
    """
    texts = [_drawn(progress, words, bar) for words, bar in _FORMS]
    return next((text for text in texts if len(text) <= width), texts[-1])


def _drawn(progress: Progress, words: tuple[str, str], bar: int) -> str:
    filled = round(progress.share * bar)
    drawn = f"[{'#' * filled}{'.' * (bar - filled)}] " if bar else ""
    numbers = zip((progress.now.events, progress.now.waiting), words, strict=True)
    parts = [*(f"{number:,} {word}" for number, word in numbers), *_pace(progress)]
    return f"{drawn}{progress.share:4.0%}  {', '.join(parts)}"


def _pace(progress: Progress) -> list[str]:
    if progress.rate is None:
        return []
    if progress.left is None:
        return [f"growing by {-progress.rate:,.0f}/s" if progress.rate else "standing still"]
    return [f"{progress.rate:,.0f}/s", f"{duration(progress.left)} left"]


def pairs(progress: Progress) -> str:
    """The same for a log."""
    now = progress.now
    rate = "?" if progress.rate is None else f"{progress.rate:.0f}/s"
    left = "?" if progress.left is None else f"{progress.left:.0f}s"
    return f"events_to_examine={now.events} deliveries_waiting={now.waiting} rate={rate} left={left}"
