"""What a worker has in hand is in the broker no more, where that is Redis; and comes back as if it were."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from events import transport
from events.message import HEADER, Message
from events.models import Delivery, State
from events.worker.in_hand import _is_ours
from project.celery import app
from project.dev.broker import Broker
from tests import brokers
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Effect
from tests.shop.poisons import wait

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(brokers.ON_RABBITMQ, reason="about Redis: RabbitMQ itself keeps what is in hand"),
]

RECEIVER = "tests.shop.receivers.record_save"


@pytest.fixture
def options() -> dict[str, Any]:
    return {}


@pytest.fixture
def channel(broker: Broker, options: dict[str, Any]) -> Iterator[Any]:
    """Of a worker that takes messages."""
    from events.transport.in_hand import keep_in_memory

    with app.connection_for_read(transport_options=options) as connection:
        keep_in_memory(connection.default_channel, _is_ours)
        yield connection.default_channel


def put_ours() -> None:
    transport.publish(
        [
            Message(
                receiver=RECEIVER,
                queue="default",
                using="default",
                ids=("1",),
                envelopes=("{}",),
                attempts=(1,),
            )
        ]
    )


def copies(broker: Broker) -> int:
    return broker.client().hlen("unacked")


def test_ours__is_not_copied_and_another_apps_is(channel: Any, broker: Broker) -> None:
    put_ours()
    app.send_task("anothers", queue="default")
    ours, others = channel.basic_get("default"), channel.basic_get("default")
    assert (ours.headers["task"], others.headers["task"]) == (RECEIVER, "anothers")
    [copy] = broker.client().hvals("unacked")
    assert json.loads(copy)[0]["headers"]["task"] == "anothers"
    ours.ack()
    others.ack()
    assert not copies(broker)
    channel.close()
    assert not transport.look("default").depth


@pytest.mark.parametrize("how", ["rejected", "closed"])
def test_ours__goes_back_to_its_queue(channel: Any, how: str) -> None:
    put_ours()
    message = channel.basic_get("default")
    assert not transport.look("default").depth
    if how == "closed":
        channel.close()
    else:
        message.reject(requeue=True)
    assert transport.look("default").ids == {(RECEIVER, "1")}
    with app.connection_for_read() as connection:
        again = connection.default_channel.basic_get("default")
    assert again.delivery_info["redelivered"]


def test_ours__rejected_for_good__is_gone(channel: Any) -> None:
    put_ours()
    channel.basic_get("default").reject()
    channel.close()
    assert not transport.look("default").depth


def test_ours__rejected_while_the_broker_hangs__keeps_no_place(channel: Any, broker: Broker) -> None:
    if broker.pid is None:
        pytest.skip("REDIS_URL names a server that is not ours to freeze")
    put_ours()
    channel.qos.prefetch_count = 1
    message = channel.basic_get("default")
    assert not channel.qos.can_consume()
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        with pytest.raises(channel.connection_errors):
            message.reject(requeue=True)
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    # Whether it is back in its queue nobody knows: the relay looks.
    assert channel.qos.can_consume()


def test_forged__that_does_not_say_where_it_comes_from__is_not_taken(channel: Any, broker: Broker) -> None:
    forged = {
        "body": "",
        "headers": {"task": RECEIVER, HEADER: {}},
        "properties": {"delivery_tag": "forged"},
        "content-type": "application/json",
        "content-encoding": "utf-8",
    }
    put_ours()
    channel.basic_get("default")
    broker.client().lpush("default", json.dumps(forged))
    with pytest.raises(KeyError):
        channel.basic_get("default")
    # And is in the way of no other that goes back.
    channel.close()
    assert transport.look("default").ids == {(RECEIVER, "1")}


@pytest.mark.parametrize("options", [{"ack_emulation": False}])
def test_project_that_has_no_copies__has_none(channel: Any, broker: Broker) -> None:
    app.send_task("anothers", queue="default")
    assert channel.basic_get("default").headers["task"] == "anothers"
    assert not copies(broker)


def test_worker__has_its_own_in_memory_alone(start_worker: Start, broker: Broker, tmp_path: Path) -> None:
    worker = start_worker("-c", "1")
    wait.send(gate=str(tmp_path), kind="wait_outside")
    wait_for((tmp_path / "begun").exists, "a run", log=worker.log)
    assert not copies(broker)
    worker.kill()
    other = start_worker("-c", "1")
    (tmp_path / "open").touch()
    done = Delivery.objects.filter(receiver__endswith="wait_outside", state=State.DONE)
    wait_for(done.exists, "what the dead one had in hand", 90, other.log)
    assert Effect.objects.count()
