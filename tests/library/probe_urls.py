"""Views that misbehave, for the tests of what watches over requests."""

from __future__ import annotations

import asyncio
import threading

from django.contrib.auth import get_user_model
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from library.models import Category
from library.signals import user_registered
from project import urls

entered, release = threading.Event(), threading.Event()


def fail_after_writing(request: HttpRequest, number: int) -> HttpResponse:
    Category.objects.create(name="written before the failure")
    user = get_user_model().objects.create_user("never-was")
    user_registered.send(sender=type(user), user=user)
    raise ValueError(f"no luck with {number}")


def fail_elsewhere(request: HttpRequest) -> HttpResponse:
    raise ValueError("no luck here either")


def fail_unspeakably(request: HttpRequest) -> HttpResponse:
    raise ValueError("\x00 and \udcff")


@non_atomic_requests
async def fail_async(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    raise LookupError("nothing there")


@non_atomic_requests
def wait(request: HttpRequest) -> HttpResponse:
    entered.set()
    release.wait(20)
    return HttpResponse()


@non_atomic_requests
def quick(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@non_atomic_requests
async def wait_async(request: HttpRequest) -> HttpResponse:
    entered.set()
    while not release.is_set():
        await asyncio.sleep(0)
    return HttpResponse()


urlpatterns = [
    path("fail/<int:number>/", fail_after_writing),
    path("fail-elsewhere/", fail_elsewhere),
    path("fail-unspeakably/", fail_unspeakably),
    path("fail-async/", fail_async),
    path("wait/", wait),
    path("wait-async/", wait_async),
    path("quick/", quick),
    path("", include(urls)),
]
