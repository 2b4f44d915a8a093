"""The broker of a test run, whichever it is: Redis, or with TEST_BROKER=rabbitmq a node of RabbitMQ."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from amqp import Message
from amqp.exceptions import NotFound
from kombu import Connection

from project.celery import app
from project.dev.broker import Broker, BrokerError, start_broker
from project.dev.rabbitmq import RabbitMQ, RabbitMQError

ON_RABBITMQ = os.environ.get("TEST_BROKER") == "rabbitmq"
# An address that refuses.
NOWHERE = "amqp://127.0.0.1:1//" if ON_RABBITMQ else "redis://127.0.0.1:1/0"

about_redis = pytest.mark.skipif(ON_RABBITMQ, reason="about something that Redis alone has")
about_rabbitmq = pytest.mark.skipif(not ON_RABBITMQ, reason="about RabbitMQ: TEST_BROKER=rabbitmq")


class RabbitBroker(RabbitMQ):
    """In the place of a `Broker`."""

    def client(self) -> redis.Redis:
        pytest.skip("asks Redis itself, and the broker is RabbitMQ")


def start(directory: Path) -> Broker:
    """A server of this run's own. Raises `BrokerError`."""
    if not ON_RABBITMQ:
        return start_broker(directory, environ={"PATH": os.environ["PATH"]})
    node = RabbitBroker()
    try:
        return node.__enter__()  # type: ignore[return-value]  # stands in for one
    except RabbitMQError as reason:
        raise BrokerError(str(reason)) from reason


def end(broker: Broker) -> None:
    if isinstance(broker, RabbitMQ):
        broker.__exit__(None, None, None)
    else:
        broker.stop()


def port(broker: Broker) -> int:
    number: int = Connection(broker.url).port
    return number


def at(broker: Broker, port: int) -> str:
    """The broker's address, by way of another port."""
    return broker.url.replace(f":{globals()['port'](broker)}/", f":{port}/")


@contextmanager
def _channel(broker: Broker) -> Iterator[Any]:
    with Connection(broker.url) as connection:
        yield connection.channel()


def empty(broker: Broker, *queues: str) -> None:
    """Of all messages, or of those of these queues."""
    if not isinstance(broker, RabbitMQ):
        client = broker.client()
        client.delete(*queues) if queues else client.flushall()
        return
    for name in queues or app.amqp.queues:
        _of_queue(broker, name, "queue_purge")


def waiting(broker: Broker, queue: str) -> int:
    """Messages in it that no worker has taken."""
    if not isinstance(broker, RabbitMQ):
        number: int = broker.client().llen(queue)
        return number
    found = _of_queue(broker, queue, "queue_declare", passive=True)
    return 0 if found is None else int(found.message_count)


def _of_queue(broker: Broker, queue: str, what: str, **options: Any) -> Any:
    """None where there is no such queue."""
    # A channel each: where there is none, RabbitMQ closes it.
    with _channel(broker) as channel:
        try:
            return getattr(channel, what)(queue, **options)
        except NotFound:
            return None


def in_hand(broker: Broker) -> int:
    """Messages taken, and not acknowledged; of the bus's own, where that is Redis, deliveries, as their workers say."""
    if not isinstance(broker, RabbitMQ):
        from events.models import Worker

        copies: int = broker.client().hlen("unacked")
        return copies + sum(len(worker.held) for worker in Worker.objects.all())
    queues = json.loads(broker.control("list_queues", "messages_unacknowledged", "--formatter", "json"))
    return sum(queue["messages_unacknowledged"] for queue in queues)


def fill(broker: Broker, queue: str, count: int) -> None:
    """With messages that are nobody's."""
    for _ in range(count):
        put(broker, queue, b"somebody's")


def put(broker: Broker, queue: str, body: bytes, **properties: Any) -> None:
    """As it is: on Redis all of the message, on RabbitMQ its body."""
    if not isinstance(broker, RabbitMQ):
        broker.client().lpush(queue, body)
        return
    with _channel(broker) as channel:
        app.amqp.queues[queue].bind(channel).queue_declare()
        channel.basic_publish_confirm(Message(body, **properties), exchange="", routing_key=queue)


def take(broker: Broker, queue: str) -> Message:
    """RabbitMQ's next message; it has it no more."""
    with _channel(broker) as channel:
        message = channel.basic_get(queue, no_ack=True)
        assert message is not None, f"{queue} is empty"
        return message
