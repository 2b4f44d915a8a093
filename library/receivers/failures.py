from __future__ import annotations

import hashlib
import sys
from traceback import extract_tb, format_exception
from typing import Any

from django.core.signals import got_request_exception
from django.dispatch import receiver
from django.http import HttpRequest

from library.reporting import report, route_of
from library.signals import request_failed

MAX_MESSAGE = 500  # characters
MAX_TRACEBACK = 20_000  # characters, of its end: the innermost frames say most


@receiver(got_request_exception)
def report_failed_request(sender: Any, request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Emits `library.request_failed`, about the exception in `sys.exc_info()`.

    Django sends the signal after the view's transaction (ATOMIC_REQUESTS) was rolled back, so the event is stored in
    a transaction of its own and outlives the one that failed.
    """
    error = sys.exc_info()[1]  # the signal carries no exception
    if error is None:
        return
    report(
        request_failed,
        sender=type(error),
        exception=name_of(error),
        message=storable(str(error))[:MAX_MESSAGE],
        traceback=storable("".join(format_exception(error)))[-MAX_TRACEBACK:],
        route=route_of(request),
        method=(request.method or "") if request is not None else "",
        fingerprint=fingerprint(error),
    )


def name_of(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def storable(text: str) -> str:
    """Without what JSON (a lone surrogate) or PostgreSQL (a NUL) refuses: errors quote whatever input broke them."""
    return text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()


def fingerprint(error: BaseException) -> str:
    """The same for the same kind of error raised at the same place.

    Without the message, which often holds an id, and without line numbers, which every deployment moves.
    """
    places = [f"{frame.filename}:{frame.name}" for frame in extract_tb(error.__traceback__)]
    return hashlib.sha256("\n".join([name_of(error), *places]).encode()).hexdigest()
