"""USE_TZ = False: pages and commands show times as Django gives them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from events.management.subcommands.base import moment
from events.models import Delivery, EventRecord
from events.testing import drain
from tests.events.ending import counted
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_time_zones(settings: Settings) -> Iterator[None]:
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    # It was opened with another.
    connection.close()
    yield
    connection.close()


@pytest.mark.parametrize("page", ["minute", "eventrecord", "delivery", "queue", "worker", "action"])
def test_page__is_shown(page: str, admin_client: Client) -> None:
    Item.objects.create(title="one")
    drain()
    counted()
    answer = admin_client.get(reverse(f"admin:offload_{page}_changelist"))
    assert answer.status_code == 200


def test_page_of_an_event_and_of_a_delivery__are_shown(admin_client: Client) -> None:
    Item.objects.create(title="one")
    drain()
    for name, row in (("eventrecord", EventRecord.objects.first()), ("delivery", Delivery.objects.first())):
        assert row is not None
        assert admin_client.get(reverse(f"admin:offload_{name}_change", args=[row.pk])).status_code == 200


def test_commands__print_times(capsys: pytest.CaptureFixture[str]) -> None:
    Item.objects.create(title="one")
    drain()
    call_command("events", "tail", "--limit", "2")
    event = EventRecord.objects.get()
    call_command("events", "trace", str(event.pk))
    call_command("events", "status")
    assert str(event.pk) in capsys.readouterr().out


def test_moment__is_as_it_is_stored() -> None:
    assert moment("2026-03-01T12:00") == datetime(2026, 3, 1, 12)  # noqa: DTZ001 - that is what it tests
    assert moment("2026-03-01T12:00+00:00") == datetime(2026, 3, 1, 21)  # noqa: DTZ001
