from __future__ import annotations

import pytest

from events.models import Delivery, State
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Effect, Item

pytestmark = pytest.mark.django_db(transaction=True)


def finished() -> bool:
    return (
        Delivery.objects.exists()
        and not Delivery.objects.filter(state__in=["waiting", "sent", "running"]).exists()
    )


def test_worker__runs_what_a_save_emitted(start_worker: Start) -> None:
    start_worker()
    Item.objects.create(title="one")
    wait_for(lambda: Effect.objects.count() == 2, "two effects")
    wait_for(finished, "records")
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DONE}
