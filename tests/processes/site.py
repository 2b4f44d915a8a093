"""A site in little, for any WSGI or ASGI server: each request saves an item in a transaction.

It answers with the milliseconds that took, with its commit, and with the names of all threads that ever asked for
a connection (or for the address of one) in this process.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.processes.site_settings"
CONNECTING = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}
connecting: set[str] = set()


def watch(name: str, arguments: tuple[Any, ...]) -> None:
    if name in CONNECTING:
        connecting.add(threading.current_thread().name)


sys.addaudithook(watch)

from asgiref.sync import sync_to_async  # noqa: E402 -- what follows connects only where the hook sees it
from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

wsgi = get_wsgi_application()
asgi = get_asgi_application()

from django.db import transaction  # noqa: E402 -- models are there when the applications are
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from tests.shop.models import Item  # noqa: E402
from tests.shop.signals import bought  # noqa: E402


def one(title: str) -> Item:
    with transaction.atomic():
        return Item.objects.create(title=title)


def answer(item: Item, started: float) -> JsonResponse:
    return JsonResponse(
        {"pk": item.pk, "ms": (time.perf_counter() - started) * 1000, "connecting": sorted(connecting)}
    )


@transaction.non_atomic_requests
def save(request: HttpRequest) -> JsonResponse:
    started = time.perf_counter()
    return answer(one("sync"), started)


@transaction.non_atomic_requests
async def save_async(request: HttpRequest) -> JsonResponse:
    started = time.perf_counter()
    item = await sync_to_async(one)("async")
    await bought.asend(sender=Item, item=item, amount=1)
    return answer(item, started)


urlpatterns = [path("save", save), path("save-async", save_async)]
