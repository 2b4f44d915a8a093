"""Connections of a pool's process: which of them is asked whether its server is still there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db import connection, transaction

from events import pauses
from events.delivery.consuming import consume
from events.delivery.tally import Tally
from events.fast_path import fast_path
from events.testing import _due_messages
from events.worker import renewing
from events.worker.renewing import renew_connections
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def unused() -> Iterator[None]:
    """Its health is to be checked, and it was never used for a message."""
    before = connection.settings_dict["CONN_HEALTH_CHECKS"]
    connection.settings_dict["CONN_HEALTH_CHECKS"] = True
    renewing._begun_at.clear()
    # Django reads the setting where it connects.
    connection.close()
    connection.ensure_connection()
    yield
    pauses._known.clear()
    connection.settings_dict["CONN_HEALTH_CHECKS"] = before
    connection.close()


def will_be_asked() -> bool:
    return bool(connection.health_check_enabled and not connection.health_check_done)  # type: ignore[attr-defined]


def test_connection__is_asked_unless_it_was_just_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewing, "_USABLE", 3600.0)
    renew_connections(trusting=True)
    assert will_be_asked()
    renew_connections(trusting=True)
    assert not will_be_asked()
    # Before another app's task, which nobody repeats.
    renew_connections(trusting=False)
    assert will_be_asked()
    monkeypatch.setattr(renewing, "_USABLE", 0.0)
    renew_connections(trusting=True)
    assert will_be_asked()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
@pytest.mark.parametrize("envelopes", ["carried", "left in the outbox"])
@pytest.mark.parametrize("pauses_known", [True, False])
def test_connection_that_was_cut_since__costs_no_delivery_and_no_try(
    monkeypatch: pytest.MonkeyPatch, envelopes: str, pauses_known: bool
) -> None:
    monkeypatch.setattr(renewing, "_USABLE", 3600.0)
    with fast_path.suspended(), transaction.atomic():
        Item.objects.create(title="one")
    messages = _due_messages("default")
    assert messages
    if envelopes != "carried":
        messages = [replace(message, envelopes=("",) * len(message.ids)) for message in messages]
    if pauses_known:
        pauses._known["default"] = (time.monotonic() + 3600.0, pauses.Pauses())
    else:
        pauses._known.clear()
    renew_connections(trusting=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    other.close()
    renew_connections(trusting=True)
    assert not will_be_asked()
    assert [consume(message) for message in messages] == [Tally(done=1)] * len(messages)
