from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseBase

from library.conf import library_settings
from library.receivers import timing
from library.reporting import report, route_of
from library.signals import slow_request


class RequestTimingMiddleware:
    """Emits `library.slow_request` for a slow one. Put it before the others, so that its time holds theirs.

    Here and not at `request_finished`: by then the connections to the database have been closed.
    """

    sync_capable = async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self):
            return self.acall(request)
        response = self.get_response(request)
        self.observe(request, response)
        return response

    async def acall(self, request: HttpRequest) -> HttpResponseBase:
        response = await self.get_response(request)
        await sync_to_async(self.observe)(request, response)
        return response

    def observe(self, request: HttpRequest, response: HttpResponseBase) -> None:
        clock = timing.clock_of(request)
        clock.method, clock.route, clock.status = (
            request.method or "",
            route_of(request),
            response.status_code,
        )
        timing.follow(clock, response)
        milliseconds = clock.milliseconds
        if milliseconds >= library_settings().slow_request_ms:
            report(
                slow_request,
                sender=type(self),
                method=clock.method,
                route=clock.route,
                milliseconds=round(milliseconds, 1),
                status=clock.status,
            )
