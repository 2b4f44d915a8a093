"""A worker that takes messages while others run keeps none of them from who could run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from events.models import Delivery, State
from project.celery import app
from project.dev.broker import Broker
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Item
from tests.shop.poisons import wait

pytestmark = pytest.mark.django_db(transaction=True)

# Seconds that no run takes here but those that are held up, however slow the machine.
SHORT = "5"


def done() -> int:
    return Delivery.objects.filter(state=State.DONE).count()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_message_behind_a_long_run__is_there_for_another_worker(
    start_worker: Start, tmp_path: Path, pool: str
) -> None:
    busy = start_worker("-P", pool, "-c", "1", TEST_LOOK_AHEAD=SHORT)
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


def test_message_given_back__is_not_left_in_the_socket_of_the_one_who_gave_it(
    start_worker: Start, broker: Broker, tmp_path: Path
) -> None:
    busy = start_worker("-c", "2", TEST_LOOK_AHEAD=SHORT)
    for title in "abcdef":
        Item.objects.create(title=title)
    wait_for(lambda: done() == 12, "twelve deliveries", log=busy.log)
    gates = [tmp_path / name for name in ("first", "second", "behind them")]
    for gate in gates:
        gate.mkdir()
    gates[-1].joinpath("open").touch()
    for gate in gates[:2]:
        wait.send(gate=str(gate), kind="wait_outside")
        wait_for((gate / "begun").exists, "a long run", log=busy.log)

    # A single message: there is room for one more, so the worker has asked for it when this one goes back.
    wait.send(gate=str(gates[-1]), kind="wait_in_transaction")

    wait_for(lambda: broker.client().llen("default") == 1, "the message in its queue", log=busy.log)
    start_worker("-c", "1")
    wait_for(lambda: done() == 13, "what came behind them", log=busy.log)
    # In neither queue nor hand it would have been sent again.
    assert "lost=" not in busy.log.read_text()


def test_task_of_another_app_that_waits_for_its_time__is_left_to_celery(
    start_worker: Start, broker: Broker, tmp_path: Path
) -> None:
    busy = start_worker("-c", "1", TEST_LOOK_AHEAD=SHORT)
    for title in "abcdef":
        Item.objects.create(title=title)
    wait_for(lambda: done() == 12, "twelve deliveries", log=busy.log)
    gates = [tmp_path / name for name in ("long", "behind it")]
    for gate in gates:
        gate.mkdir()
    wait.send(gate=str(gates[0]), kind="wait_outside")
    wait_for((gates[0] / "begun").exists, "the long run", log=busy.log)
    app.tasks["celery.backend_cleanup"].apply_async(countdown=3600, queue="default")
    wait_for(put_off, "a task for later", log=busy.log)

    # By the time that this one goes back, the other would have.
    wait.send(gate=str(gates[1]), kind="wait_in_transaction")
    wait_for(lambda: broker.client().llen("default") == 1, "a message that goes back", log=busy.log)

    wait_for(put_off, "the task for later", log=busy.log)
    assert [task["request"]["delivery_info"]["redelivered"] for task in put_off()] == [False]


def put_off() -> list[Any]:
    workers = app.control.inspect(timeout=5, limit=1).scheduled() or {}
    return [task for tasks in workers.values() for task in tasks]
