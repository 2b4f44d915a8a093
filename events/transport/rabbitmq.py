"""A queue of RabbitMQ's: how long it is, and what is in it. See docs/decisions/0016-brokers.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu import Connection

from events.message import RETURNED

# What it answers: no such queue; no queue that a message could go to.
_NOT_FOUND, _NO_ROUTE = 404, 312
# A queue that nobody has.
_NOWHERE = "offload.nobody"


def depth(connection: Connection, queue: str) -> int:
    """Messages that wait in it; 0 where nobody has declared it yet."""
    with _channel(connection) as channel:
        try:
            count: int = channel.queue_declare(queue, passive=True).message_count
        except connection.channel_errors as error:
            if getattr(error, "reply_code", None) != _NOT_FOUND:
                raise
            return 0
    return count


def headers(connection: Connection, queue: str) -> list[dict[str, Any]]:
    """Of all that wait in it now. Each is taken, and a copy put in its place: while it is, nobody else finds it.

    RabbitMQ has no other way to look. Put back, it would bear the marks of one whose worker died.
    """
    found = []
    with _channel(connection) as channel:
        # As many as there are: copies would else be met again, and what arrives never end.
        for _ in range(depth(connection, queue)):
            message = channel.basic_get(queue)
            if message is None:
                break
            properties = dict(message.properties)
            headers = _written_by_us(properties.get("application_headers") or {})
            if message.delivery_info["redelivered"]:
                headers[RETURNED] = True
            properties["application_headers"] = headers
            found.append(headers)
            channel.basic_publish(
                type(message)(message.body, **properties), exchange="", routing_key=queue, mandatory=True
            )
            # Confirmed: killed between the two, it is there twice, and runs once.
            channel.basic_ack(message.delivery_tag)
    return found


def _written_by_us(headers: dict[str, Any]) -> dict[str, Any]:
    """Without what RabbitMQ adds: x-delivery-count."""
    return {name: value for name, value in headers.items() if not name.startswith("x-")}


def try_to_publish(connection: Connection, timeout: float) -> None:
    """A message that comes back. A node that is full reads no messages: this one neither comes back nor arrives."""
    with _channel(connection) as channel:
        message = channel.prepare_message(b"")
        try:
            channel.basic_publish(
                message, exchange="", routing_key=_NOWHERE, mandatory=True, confirm_timeout=timeout
            )
        except connection.channel_errors as error:
            if getattr(error, "reply_code", None) != _NO_ROUTE:
                raise


@contextmanager
def _channel(connection: Connection) -> Iterator[Any]:
    """One of our own: what RabbitMQ refuses, it answers by closing the channel, and the producer's is wanted."""
    channel = connection.default_channel.connection.channel()
    try:
        yield channel
    finally:
        channel.close()
