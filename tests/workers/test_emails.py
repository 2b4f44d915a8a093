from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from tests.workers.conftest import StrictSink
from tests.workers.occurrences import occurrence
from workers.emails import is_new_with_address, send_welcome_email


def test_send_welcome_email__greets_by_name_in_both_parts(sink: StrictSink):
    user = User(username="ada", first_name="Ada", last_name="Love<lace", email="ada@example.org")

    send_welcome_email(User, instance=user, created=True, event=occurrence())

    [arrived] = sink.to("ada@example.org")
    assert arrived.subject == "Welcome to the library"
    assert arrived.body("plain").splitlines()[0] == "Welcome, Ada Love<lace"
    assert "Welcome, Ada Love&lt;lace</h1>" in arrived.body("html")


def test_send_welcome_email__links_to_the_catalogue_where_the_sites_address_is_set(
    sink: StrictSink, settings: Settings
):
    settings.SITE_URL = "https://books.example/"
    user = User(username="ada", email="ada@example.org")

    send_welcome_email(User, instance=user, created=True, event=occurrence())

    [arrived] = sink.mails
    assert "The catalogue: https://books.example/" in arrived.body("plain")
    assert 'href="https://books.example/' in arrived.body("html")


def test_send_welcome_email__a_second_try_has_the_same_message_id(sink: StrictSink):
    user = User(username="ada", email="ada@example.org")

    for _ in range(2):
        send_welcome_email(User, instance=user, created=True, event=occurrence("one key"))

    first, second = sink.mails
    assert first.message_id == second.message_id


@pytest.mark.parametrize(
    ("email", "created", "expected"),
    [("ada@example.org", True, True), ("ada@example.org", False, False), ("", True, False)],
)
def test_is_new_with_address(email: str, created: bool, expected: bool):
    assert is_new_with_address(User, instance=User(email=email), created=created) is expected
