"""Messages of ours as they lie in the broker: taken out, altered, and put back."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db.models import Sum

from events.fast_path import fast_path
from events.message import HEADER
from events.models import Refusal
from events.registry import registry
from events.relay.feeding import feed
from events.relay.materialising import materialise
from project.dev.broker import Broker
from tests import brokers

QUEUE = "default"


def unpacked(body: str) -> bytes:
    """The JSON of a message's arguments."""
    return zlib.decompress(base64.b64decode(body))


@dataclass
class Wired:
    """One message, in its parts."""

    headers: dict[str, Any]
    properties: dict[str, Any]
    body: Any
    rest: dict[str, Any]

    @classmethod
    def read(cls, raw: bytes) -> Wired:
        rest = json.loads(raw)
        headers, properties, body = (rest.pop(name) for name in ("headers", "properties", "body"))
        return cls(headers=headers, properties=properties, body=json.loads(unpacked(body)), rest=rest)

    @classmethod
    def of(cls, message: Any) -> Wired:
        """RabbitMQ's."""
        # Where it is delivered to is no part of the message there.
        properties = {**message.properties, "delivery_info": {}}
        headers = properties.pop("application_headers")
        return cls(
            headers=headers, properties=properties, body=json.loads(zlib.decompress(message.body)), rest={}
        )

    @property
    def ours(self) -> dict[str, Any]:
        """What the bus put into the headers."""
        header: dict[str, Any] = self.headers[HEADER]
        return header

    @property
    def envelopes(self) -> list[str]:
        envelopes: list[str] = self.body[0]
        return envelopes

    def rename(self, id: str) -> None:
        self.headers["id"] = self.properties["correlation_id"] = id

    def packed(self) -> bytes:
        return zlib.compress(json.dumps(self.body).encode())

    def raw(self) -> bytes:
        return json.dumps(
            {
                **self.rest,
                "headers": self.headers,
                "properties": self.properties,
                "body": base64.b64encode(self.packed()).decode(),
            }
        ).encode()


@contextmanager
def laid_into(*queues: str) -> Iterator[None]:
    """What is emitted within lies in the broker afterwards, one message for each receiver.

    A relay's step, because a fast path on a slow machine leaves some to a relay, and relays publish only to workers.
    """
    with fast_path.suspended():
        yield
    while materialise("default", frozenset()):
        pass
    for queue in queues:
        feed("default", queue, 1000, frozenset(registry.names()))


Alter = Callable[[Wired], object]


def take(broker: Broker, count: int, queue: str = QUEUE) -> list[Wired]:
    """All messages of the queue; the broker has them no more."""
    assert brokers.waiting(broker, queue) == count
    if brokers.ON_RABBITMQ:
        return [Wired.of(brokers.take(broker, queue)) for _ in range(count)]
    return [Wired.read(broker.client().rpop(queue)) for _ in range(count)]


def put(broker: Broker, message: Wired, queue: str = QUEUE) -> None:
    if brokers.ON_RABBITMQ:
        sent = {name: value for name, value in message.properties.items() if name != "delivery_info"}
        brokers.put(broker, queue, message.packed(), application_headers=message.headers, **sent)
    else:
        brokers.put(broker, queue, message.raw())


def refused() -> int:
    return Refusal.objects.aggregate(all=Sum("count"))["all"] or 0
