"""What the relay asks for every quarter of a second doesn't take longer the more is done already."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import QuerySet

from events.models import IS_UNFINISHED, Delivery
from events.relay.feeding import _due as due_to_feed
from events.relay.looking import _due as due_to_look

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the others choose by what a table holds"),
]

ASKED = {
    "queues": lambda: Delivery.objects.filter(IS_UNFINISHED).order_by().values_list("queue").distinct(),
    "to feed": lambda: due_to_feed("default", "default").order_by("next_at", "event_id")[:100],
    "to look for": lambda: due_to_look("default", "default"),
}


@pytest.mark.parametrize("name", ASKED)
def test_relay__reads_the_unfinished_alone(name: str) -> None:
    rows: QuerySet[Delivery] = ASKED[name]()
    assert "offload_delivery_due" in rows.explain()
