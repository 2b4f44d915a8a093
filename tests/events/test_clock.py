from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from pytest_django import Settings

from events.clock import after, after_sql, now
from events.models import Queue

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("seconds", [0, 15, 0.25, -20, 86_400])
def test_after__by_hand_and_by_expression_agree(seconds: float) -> None:
    Queue.objects.create(name="by expression", lease_until=after(seconds))
    sql, params = after_sql("default", seconds)
    with connection.cursor() as cursor:
        Queue.objects.create(name="by hand")
        cursor.execute(f"UPDATE offload_queue SET lease_until = {sql} WHERE name = 'by hand'", params)  # noqa: S608 - ours
    by_hand, by_expression = (
        Queue.objects.get(name=f"by {way}").lease_until for way in ("hand", "expression")
    )
    assert by_hand is not None
    assert by_expression is not None
    # Both were asked a moment apart, of one clock.
    assert abs(by_hand - by_expression) < timedelta(seconds=5)


@pytest.mark.parametrize("aware", [True, False])
def test_now__is_of_the_clock_that_stored_times_are_of(settings: Settings, aware: bool) -> None:
    settings.TIME_ZONE, settings.USE_TZ = "Asia/Tokyo", aware
    row = Queue.objects.create(name="default", lease_until=after(-1000))
    row.refresh_from_db()
    assert row.lease_until is not None
    assert 999 < (now("default") - row.lease_until).total_seconds() < 1010
