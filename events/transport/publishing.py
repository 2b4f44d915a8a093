from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kombu.serialization import dumps
from kombu.utils.encoding import ensure_bytes

from events.crashpoints import crashpoint
from events.message import HEADER, Message
from events.transport.connecting import celery_app, producer
from events.transport.round_trip import Content, round_trips

# Seconds: what a process beside the request path may wait for the broker.
PATIENT = 5.0
# Values that Celery takes a header's absence for.
_NOTHING: tuple[Any, ...] = (None, {}, [None, None])
# As kombu names what zlib makes; it has no say in the level, and takes twice the time for a twelfth of the size.
_COMPRESSION, _LEVEL = "application/x-gzip", 1
# Messages handed over in one round trip.
_ROUND_TRIP = 100


def publish(
    messages: Sequence[Message], *, timeout: float = PATIENT, first_alone: bool = False
) -> Mapping[str, int]:
    """Hand the messages to the broker, in one round trip where the transport can; `first_alone`: in two. How many
    messages each of the queues has by then, where the broker says so unasked.

    Raises what the broker's client raises; some messages may have arrived even so.
    """
    crashpoint("publish.before")
    bodies: dict[tuple[str, ...], _Body] = {}
    with producer(timeout) as lent:
        trip = round_trips(lent, timeout)
        for number, message in enumerate(messages, start=1):
            trip.put(_content(message, bodies), message.queue)
            # Where the first goes alone, a worker is on its way with it while the others are being written.
            if number % _ROUND_TRIP == 0 or (first_alone and number == 1):
                trip.go()
        trip.go()
    crashpoint("publish.after")
    return trip.depths


def _content(message: Message, bodies: dict[tuple[str, ...], _Body]) -> Content:
    soft, hard = message.limits
    # A quarter of what apply_async costs; it ignores headers=, so ours go into its result.
    task = celery_app().amqp.create_task_message(
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
    # All receivers of the same events get the same: nothing else is in a body that could differ.
    body = bodies.get(message.envelopes) or bodies.setdefault(message.envelopes, _body(task.body))
    return Content(
        *body,
        headers={**said, HEADER: message.header(), "compression": _COMPRESSION},
        properties={**task.properties, "delivery_mode": 2},
    )


class _Body(NamedTuple):
    data: bytes
    content_type: str
    content_encoding: str


def _body(content: Any) -> _Body:
    content_type, content_encoding, text = dumps(content, serializer="json")
    # Envelopes of one receiver are much alike, and quoted twice on the way: see docs/decisions/0012-speed.md.
    return _Body(zlib.compress(ensure_bytes(text), _LEVEL), content_type, content_encoding)


def _summary(message: Message) -> str:
    """What task results show of the arguments: never a payload."""
    return f"('{len(message.ids)} events from {message.ids[0]}',)"
