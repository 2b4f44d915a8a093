from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import AsyncClient, Client
from django.urls import reverse

from events.testing import captured_events
from library.models import Book
from library.signals import slow_request

ALL_ARE_SLOW = {"SLOW_REQUEST_MS": 0}


def test_slow_request__is_emitted_with_the_route_and_never_the_path(
    heard: Any, settings: Any, client: Client, make_book: Any
) -> None:
    settings.LIBRARY = ALL_ARE_SLOW
    with heard(slow_request) as calls:
        client.get(make_book().get_absolute_url())
    (call,) = calls
    assert (call["method"], call["route"], call["status"]) == ("GET", "book/<slug:slug>/", 200)
    assert call["milliseconds"] > 0


def test_slow_request__is_of_the_trace_of_its_request(settings: Any, client: Client, db: None) -> None:
    settings.LIBRARY = ALL_ARE_SLOW
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with captured_events() as events:
        client.get(reverse("library:catalogue"), headers={"traceparent": parent})
    assert [event.envelope.traceparent for event in events.of(slow_request)] == [parent]


def test_slow_request__a_quick_one_is_not(heard: Any, settings: Any, client: Client, db: None) -> None:
    settings.LIBRARY = {"SLOW_REQUEST_MS": 60_000}
    with heard(slow_request) as calls:
        client.get(reverse("library:catalogue"))
    assert not calls


def test_slow_request__of_an_address_that_does_not_exist_has_no_route(
    heard: Any, settings: Any, client: Client, db: None
) -> None:
    settings.LIBRARY = ALL_ARE_SLOW
    with heard(slow_request) as calls:
        client.get("/there/is/nothing/")
    assert [(call["route"], call["status"]) for call in calls] == [("", 404)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls("tests.library.probe_urls")
def test_slow_request__is_emitted_from_async_requests_too(heard: Any, settings: Any) -> None:
    settings.LIBRARY = ALL_ARE_SLOW
    with heard(slow_request) as calls:
        asyncio.run(AsyncClient().get("/quick/"))
    assert [call["route"] for call in calls] == ["quick/"]


@pytest.mark.django_db(transaction=True)
def test_slow_request__is_emitted_while_the_database_can_still_be_used(
    heard: Any, settings: Any, client: Client, make_book: Any
) -> None:
    """In a transaction of its own, after the request's: what is written there stays."""
    settings.LIBRARY = ALL_ARE_SLOW
    seen: list[bool] = []

    def write(**kwargs: Any) -> None:
        seen.append(connection.in_atomic_block)
        make_book("Written by a receiver")

    slow_request.connect(write)
    try:
        client.get(reverse("library:catalogue"))
    finally:
        slow_request.disconnect(write)
    assert seen == [True]
    assert Book.objects.get().title == "Written by a receiver"


@pytest.mark.django_db(transaction=True)
def test_slow_request__that_cannot_be_stored_does_not_spoil_the_response(
    settings: Any, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LIBRARY = ALL_ARE_SLOW

    def refuse(**kwargs: Any) -> None:
        raise DatabaseError("disk full")

    slow_request.connect(refuse)
    try:
        assert client.get(reverse("library:catalogue")).status_code == 200
    finally:
        slow_request.disconnect(refuse)
    assert "event not stored" in caplog.text
