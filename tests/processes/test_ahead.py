"""A worker that takes messages while others run keeps none of them from who could run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from events.models import Delivery, State
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Item
from tests.shop.poisons import wait

pytestmark = pytest.mark.django_db(transaction=True)


def done() -> int:
    return Delivery.objects.filter(state=State.DONE).count()


def test_message_behind_a_long_run__goes_back_for_another_worker(start_worker: Start, tmp_path: Path) -> None:
    busy = start_worker("-c", "1", TEST_LOOK_AHEAD="5")
    for title in "abcdef":
        Item.objects.create(title=title)
    # Runs are short: from here on it takes one more than it runs.
    wait_for(lambda: done() == 12, "twelve deliveries", log=busy.log)
    wait.send(gate=str(tmp_path), kind="wait_outside")
    wait_for((tmp_path / "begun").exists, "the long run", log=busy.log)
    Item.objects.create(title="behind it")

    idle = start_worker("-c", "1")

    wait_for(lambda: done() == 14, "what came behind it", log=idle.log)
    assert not Delivery.objects.filter(receiver__endswith="wait_outside", state=State.DONE).exists()
    (tmp_path / "open").touch()
    wait_for(lambda: done() == 15, "the long run's end", log=busy.log)
