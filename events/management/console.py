"""What a subcommand says, and how: lines, tables, JSON, progress, and what to do next."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import OutputWrapper
from django.core.management.color import Style
from django.utils import timezone

from events.management.overwriting import CLEAR, lines_over_progress
from events.texts import duration

# Seconds between two lines of progress where there is no terminal to draw on.
_EVERY = 5.0
# Of a terminal that doesn't say how wide it is.
_COLUMNS = 80


class Console:
    def __init__(self, stdout: OutputWrapper, stderr: OutputWrapper, style: Style) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self.style = style
        self._said = time.monotonic()
        self._drawn = False
        self._logs = ExitStack()

    def line(self, text: str = "") -> None:
        self._stdout.write(text)

    def warn(self, text: str) -> None:
        self._stderr.write(self.style.WARNING(text))

    def flush(self) -> None:
        self._stdout.flush()

    def json(self, value: Any) -> None:
        """The only thing on standard output, so that a program can read it."""
        self._stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))

    def json_line(self, value: Any) -> None:
        """One of many, each on a line of its own."""
        self._stdout.write(json.dumps(value, ensure_ascii=False, default=_plain))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        cells = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
        self.line(self.style.MIGRATE_HEADING(_row(head, widths)))
        for row in cells:
            self.line(_row(row, widths))

    def next(self, *commands: str) -> None:
        """The useful next command, after everything else."""
        self.line()
        for command in commands:
            self.line(self.style.MIGRATE_LABEL(f"Next: {command}"))

    @property
    def is_terminal(self) -> bool:
        """Whether progress is drawn."""
        return self._stderr.isatty()

    @property
    def width(self) -> int:
        """Characters that progress has room for: one more and it would leave a row behind with each change."""
        try:
            columns = os.get_terminal_size(self._stderr.fileno()).columns
        except (AttributeError, OSError, ValueError):
            columns = 0
        # In the last one some terminals go on to the next row. What says that it has none doesn't know.
        return (columns or _COLUMNS) - 1

    def progress(self, text: str) -> None:
        """Drawn over itself on a terminal; elsewhere a line every few seconds."""
        if self._stderr.isatty():
            self._draw(text[: self.width])
        elif time.monotonic() - self._said > _EVERY:
            self._said = time.monotonic()
            self._stderr.write(text)

    def end_progress(self) -> None:
        if self._drawn:
            self._stderr.write(CLEAR, ending="")
            self._stderr.flush()
            self._drawn = False
            self._logs.close()

    def _draw(self, text: str) -> None:
        if not self._drawn:
            self._drawn = True
            self._logs.enter_context(lines_over_progress())
        self._stderr.write(f"\r{text}\x1b[K", ending="")
        self._stderr.flush()


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else repr(value)


def ago(at: datetime | None) -> str:
    """`5 min ago`; a dash where it never was."""
    return seconds_ago(None if at is None else (timezone.now() - at).total_seconds())


def seconds_ago(seconds: float | None) -> str:
    return "–" if seconds is None else f"{duration(seconds)} ago"


def plural(number: int, word: str) -> str:
    if number == 1:
        return f"1 {word}"
    return f"{number:,} {word[:-1]}ies" if word.endswith("y") else f"{number:,} {word}s"
