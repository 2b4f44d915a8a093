from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory

from library.models import Book
from library.reporting import report, route_of
from library.signals import slow_request

pytestmark = pytest.mark.django_db(transaction=True)
FIELDS = {"method": "GET", "route": "", "milliseconds": 1.0, "status": 200}


def test_report__in_a_thread_without_a_connection_leaves_none_behind() -> None:
    """Django's pool threads under ASGI: nothing else would ever close it."""

    def in_thread() -> tuple[bool, bool]:
        was_open = connection.connection is not None
        report(slow_request, sender=None, **FIELDS)
        return was_open, connection.connection is not None

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(in_thread).result(20) == (False, False)


def test_report__keeps_a_connection_that_was_open() -> None:
    Book.objects.count()
    held = connection.connection
    report(slow_request, sender=None, **FIELDS)
    assert connection.connection is held


def test_report__an_error_of_ours_is_not_hidden() -> None:
    def fail(**kwargs: Any) -> None:
        raise KeyError("a bug")

    slow_request.connect(fail)
    try:
        with pytest.raises(KeyError):
            report(slow_request, sender=None, **FIELDS)
    finally:
        slow_request.disconnect(fail)


def test_route_of__a_request_that_met_no_view_has_none() -> None:
    assert route_of(None) == route_of(RequestFactory().get("/secret/")) == ""
