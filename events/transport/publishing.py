from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from kombu import Producer
from kombu.serialization import dumps
from kombu.utils.encoding import ensure_bytes

from events.crashpoints import crashpoint
from events.message import HEADER, Message
from events.transport.connecting import celery_app, is_redis, producer

# Seconds: what a process beside the request path may wait for the broker.
PATIENT = 5.0
# Values that Celery takes a header's absence for.
_NOTHING: tuple[Any, ...] = (None, {}, [None, None])
# As kombu names what zlib makes; it has no say in the level, and takes twice the time for a twelfth of the size.
_COMPRESSION, _LEVEL = "application/x-gzip", 1
# Messages handed over in one round trip.
_ROUND_TRIP = 100


def publish(messages: Sequence[Message], *, timeout: float = PATIENT, first_alone: bool = False) -> None:
    """Hand the messages to the broker, in one round trip where the transport can; `first_alone`: in two.

    Raises what the broker's client raises; some messages may have arrived even so.
    """
    crashpoint("publish.before")
    bodies: dict[tuple[str, ...], _Body] = {}
    with producer(timeout) as lent, lent.batch(max_size=_ROUND_TRIP) as batch:
        for number, message in enumerate(messages):
            _put(lent, message, timeout, bodies)
            if first_alone and not number:
                # A worker is on its way with it while the others are being written.
                batch.flush()
    crashpoint("publish.after")


def _put(lent: Producer, message: Message, timeout: float, bodies: dict[tuple[str, ...], _Body]) -> None:
    app = celery_app()
    soft, hard = message.limits
    # A quarter of what apply_async costs; it ignores headers=, so ours go into its result.
    task = app.amqp.create_task_message(
        message.id,
        message.receiver,
        args=list(message.envelopes),
        kwargs={},
        argsrepr=_summary(message),
        kwargsrepr="{}",
        soft_time_limit=soft,
        time_limit=hard,
    )
    # What says nothing is not said: it would be a tenth of a message of one event.
    said = {name: value for name, value in task.headers.items() if value not in _NOTHING}
    headers: dict[str, Any] = {**said, HEADER: message.header(), "compression": _COMPRESSION}
    # All receivers of the same events get the same: nothing else is in a body that could differ.
    body = bodies.get(message.envelopes) or bodies.setdefault(message.envelopes, _body(task.body))
    lent.publish(
        body.data,
        content_type=body.content_type,
        content_encoding=body.content_encoding,
        # The default exchange: straight into the queue, no binding to declare or lose.
        exchange="",
        routing_key=message.queue,
        declare=_declared(lent, message.queue),
        headers=headers,
        delivery_mode=2,
        # On AMQP: for a queue that was deleted since we declared it, it would be confirmed, and dropped.
        mandatory=True,
        retry=False,
        # On AMQP: a broker that is full accepts, and never confirms.
        confirm_timeout=timeout,
        **task.properties,
    )


class _Body(NamedTuple):
    data: bytes
    content_type: str
    content_encoding: str


def _body(content: Any) -> _Body:
    content_type, content_encoding, text = dumps(content, serializer="json")
    # Envelopes of one receiver are much alike, and quoted twice on the way: see docs/decisions/0012-speed.md.
    return _Body(zlib.compress(ensure_bytes(text), _LEVEL), content_type, content_encoding)


def _declared(lent: Producer, queue: str) -> list[Any]:
    """On AMQP there are no queues but those that somebody declared; kombu does it once for each connection."""
    if is_redis(lent.connection):
        return []
    return [celery_app().amqp.queues[queue]]


def _summary(message: Message) -> str:
    """What task results show of the arguments: never a payload."""
    return f"('{len(message.ids)} events from {message.ids[0]}',)"
