"""Lines of a log on a terminal where progress is drawn: in its place, not behind it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# To the beginning of the row, and nothing is left in it.
CLEAR = "\r\x1b[K"


class _Clearing(logging.Formatter):
    """Clears the row and writes the line at once: it may be another thread that draws."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return CLEAR + self.inner.format(record)


@contextmanager
def lines_over_progress() -> Iterator[None]:
    """Within it; what was cleared is drawn again with the next progress."""
    before = [(handler, handler.formatter) for handler in _on_terminals()]
    for handler, formatter in before:
        handler.setFormatter(_Clearing(formatter or logging.Formatter()))
    try:
        yield
    finally:
        for handler, formatter in before:
            handler.setFormatter(formatter)


def _on_terminals() -> set[logging.StreamHandler[Any]]:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    handlers = (each for logger in loggers if isinstance(logger, logging.Logger) for each in logger.handlers)
    return {
        each for each in handlers if isinstance(each, logging.StreamHandler) and _is_terminal(each.stream)
    }


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        # None yet, or closed.
        return False
