"""How long requests take. A clock belongs to one request and travels with it, never in a variable shared by two."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from django.core.signals import request_finished, request_started
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase

logger = logging.getLogger("library.requests")

KEY = "library.clock"
_closing: ContextVar[RequestClock | None] = ContextVar("library_closing", default=None)


@dataclass(slots=True)
class RequestClock:
    started: float = field(default_factory=perf_counter)
    method: str = ""
    route: str = ""
    status: int = 0

    @property
    def milliseconds(self) -> float:
        return (perf_counter() - self.started) * 1000


@receiver(request_started)
def start_clock(
    environ: MutableMapping[str, Any] | None = None,
    scope: MutableMapping[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Starts the request's own clock."""
    # Into the request's environ (WSGI) or scope (ASGI): under ASGI a context variable set here would be lost, because
    # the signal's receivers run in a task of their own.
    carrier = environ if environ is not None else scope
    if carrier is not None:
        carrier[KEY] = RequestClock()


def clock_of(request: HttpRequest) -> RequestClock:
    """The clock that `start_clock` started, or one that starts now (a request made by hand)."""
    carrier: MutableMapping[str, Any] = getattr(request, "scope", None) or request.META
    clock: RequestClock = carrier.setdefault(KEY, RequestClock())
    return clock


def follow(clock: RequestClock, response: HttpResponseBase) -> None:
    """Lets `stop_clock` know whose request it is that finishes: the signal itself doesn't say.

    Django runs a response's closers just before it sends `request_finished`, in the same thread and context.
    """
    response._resource_closers.append(lambda: _closing.set(clock))


@receiver(request_finished)
def stop_clock(**kwargs: Any) -> None:
    """Logs how long the request took, the sending of its body included, which no middleware sees."""
    clock = _closing.get()
    if clock is None:
        return
    _closing.set(None)
    logger.debug(
        "request finished method=%s route=%s status=%s milliseconds=%.1f",
        clock.method,
        clock.route,
        clock.status,
        clock.milliseconds,
    )
