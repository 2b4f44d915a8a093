"""Refusals are recorded, and a flood of them is counted: who forges messages fills no table."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from events.delivery.refusing import MOST, OTHERS, refuse
from events.models import Refusal

pytestmark = pytest.mark.django_db


def test_refuse__once__is_a_row_that_says_why() -> None:
    refuse("default", "forged", receiver="shop.pay", message_id="m1")
    row = Refusal.objects.get()
    assert (row.reason, row.receiver, row.message_id, row.count) == ("forged", "shop.pay", "m1", 1)
    assert row.worker


def test_refuse__in_the_same_words__is_counted_and_names_the_last() -> None:
    for number in range(5):
        refuse("default", "forged", receiver="shop.pay", message_id=f"m{number}")
    refuse("default", "forged", receiver="shop.receive")
    row = Refusal.objects.get(receiver="shop.pay")
    assert (row.count, row.message_id) == (5, "m4")
    assert Refusal.objects.get(receiver="shop.receive").count == 1


def test_refuse__an_hour_later__is_another_row() -> None:
    refuse("default", "forged")
    Refusal.objects.update(first_at=timezone.now() - timedelta(minutes=61))
    refuse("default", "forged")
    assert list(Refusal.objects.values_list("count", flat=True)) == [1, 1]


def test_refuse__flood_in_ever_other_words__is_counted_in_one_row() -> None:
    for number in range(MOST + 50):
        refuse("default", f"forged {number}", receiver=f"somebody.{number}")
    assert Refusal.objects.count() == MOST + 1
    assert Refusal.objects.get(reason=OTHERS).count == 50
    # One of those that have a row of their own still goes there.
    refuse("default", "forged 3", receiver="somebody.3")
    assert Refusal.objects.get(reason="forged 3").count == 2


def test_refuse__flood__is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="events"):
        for _ in range(20):
            refuse("default", "forged", receiver="shop.pay")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 1000])
def test_refuse__words_that_no_database_stores__are_shown(text: str) -> None:
    refuse("default", text, receiver=text, message_id=text)
    refuse("default", text, receiver=text, message_id=text)
    assert Refusal.objects.get().count == 2


@pytest.mark.django_db(transaction=True)
def test_refuse__row_that_another_worker_has_in_hand__is_not_waited_for() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    refuse("default", "forged")
    with transaction.atomic():
        refuse("default", "forged")

        def refuse_beside() -> None:
            refuse("default", "forged")
            connections.close_all()

        thread = threading.Thread(target=refuse_beside, daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(Refusal.objects.values_list("count", flat=True)) == [1, 2]
