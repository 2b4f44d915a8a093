from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.db import connection
from django.test import AsyncClient, Client

from events.testing import captured_events
from library.models import Category
from library.signals import request_failed

pytestmark = [pytest.mark.urls("tests.library.probe_urls"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def test_request_failed__carries_what_sys_exc_info_holds(client: Client, heard: Any) -> None:
    with heard(request_failed) as calls:
        assert client.post("/fail/7/?token=secret").status_code == 500
    (call,) = calls
    assert call["exception"] == "builtins.ValueError"
    assert call["message"] == "no luck with 7"
    assert "in fail_after_writing" in call["traceback"]
    assert (call["method"], call["route"]) == ("POST", "fail/<int:number>/")
    assert "secret" not in str(call)


def test_request_failed__outlives_the_transaction_that_failed(client: Client) -> None:
    """With ATOMIC_REQUESTS the view's rows and events are gone; the report of its failure is not."""
    assert connection.settings_dict["ATOMIC_REQUESTS"] is True
    with captured_events() as events:
        client.post("/fail/7/")
    assert not Category.objects.exists()
    events.assert_emitted("library.request_failed", times=1)
    events.assert_emitted("library.user_registered", times=0)


def test_request_failed__is_emitted_after_the_rollback(client: Client) -> None:
    seen: list[tuple[bool, int]] = []

    def look(**kwargs: Any) -> None:
        seen.append((connection.needs_rollback, Category.objects.count()))
        Category.objects.create(name="written by a receiver of the event")

    request_failed.connect(look)
    try:
        client.post("/fail/7/")
    finally:
        request_failed.disconnect(look)
    assert seen == [(False, 0)]
    assert Category.objects.get().name == "written by a receiver of the event"


def test_request_failed__is_emitted_for_async_views_too(heard: Any) -> None:
    with heard(request_failed) as calls:
        response = asyncio.run(AsyncClient(raise_request_exception=False).get("/fail-async/"))
    assert response.status_code == 500
    assert [(call["exception"], call["route"]) for call in calls] == [("builtins.LookupError", "fail-async/")]


def test_fingerprint__is_one_for_one_kind_of_failure(client: Client, heard: Any) -> None:
    with heard(request_failed) as calls:
        for path in ("/fail/7/", "/fail/8/", "/fail-elsewhere/"):
            client.post(path)
    first, second, elsewhere = (call["fingerprint"] for call in calls)
    assert first == second != elsewhere


def test_request_failed__not_for_what_is_no_failure_of_ours(client: Client, heard: Any) -> None:
    with heard(request_failed) as calls:
        assert client.get("/there/is/nothing/").status_code == 404
        assert client.get("/shelf/").status_code == 302
    assert not calls


def test_request_failed__sent_without_an_exception_is_nothing_to_report(heard: Any) -> None:
    with heard(request_failed) as calls:
        got_request_exception.send(sender=None, request=None)
    assert not calls


def test_request_failed__a_broken_database_leaves_the_error_page(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    from django.db import DatabaseError

    def refuse(**kwargs: Any) -> None:
        raise DatabaseError("gone")

    request_failed.connect(refuse)
    try:
        response = client.get("/fail-elsewhere/")
    finally:
        request_failed.disconnect(refuse)
    assert (response.status_code, "Something went wrong" in response.text) == (500, True)
    assert "event not stored" in caplog.text


def test_request_failed__what_no_database_takes_is_written_out(client: Client) -> None:
    with captured_events() as events:
        assert client.get("/fail-unspeakably/").status_code == 500
    events.assert_emitted("library.request_failed", times=1, message="\\x00 and \\udcff")
