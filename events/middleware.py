from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from events.context import emitted_in, traced
from events.ids import uuid7

_HEADER = "traceparent"


@sync_and_async_middleware
def trace_context(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """What a request emits carries the `traceparent` header it came with, to the worker and to what is caused there.

    And it says by what route and by whom it was emitted, where that is known without a query; all of one request has
    one correlation id.
    """
    if iscoroutinefunction(get_response):
        return _async(get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with traced(request.headers.get(_HEADER)), emitted_in(request, uuid7()):
            response: HttpResponseBase = get_response(request)
        return response

    return middleware


def _async(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    async def middleware(request: HttpRequest) -> HttpResponseBase:
        with traced(request.headers.get(_HEADER)), emitted_in(request, uuid7()):
            return await get_response(request)

    return middleware
