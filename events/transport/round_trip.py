"""From messages to the broker, as many as possible in one round trip."""

from __future__ import annotations

from typing import Any, NamedTuple

from kombu import Producer

from events.transport.connecting import celery_app, is_redis


class Content(NamedTuple):
    """A message as Celery makes it and kombu takes it, but for where it goes."""

    body: bytes
    content_type: str
    content_encoding: str
    headers: dict[str, Any]
    properties: dict[str, Any]


class OneByOne:
    """On AMQP, where the broker confirms each."""

    def __init__(self, lent: Producer, timeout: float) -> None:
        self._lent, self._timeout = lent, timeout
        # How many messages each queue had when it was last put into, where the broker says so unasked.
        self.depths: dict[str, int] = {}

    def put(self, content: Content, queue: str) -> None:
        self._lent.publish(
            content.body,
            content_type=content.content_type,
            content_encoding=content.content_encoding,
            headers=content.headers,
            # The default exchange: straight into the queue, no binding to declare or lose.
            exchange="",
            routing_key=queue,
            # kombu does it once for each connection; there are no queues but those that somebody declared.
            declare=[celery_app().amqp.queues[queue]],
            # For a queue that was deleted since we declared it, it would be confirmed, and dropped.
            mandatory=True,
            retry=False,
            # A broker that is full accepts, and never confirms.
            confirm_timeout=self._timeout,
            **content.properties,
        )

    def go(self) -> None:
        pass


class Together:
    """On Redis: what `Producer.batch()` does, by a client that lasts as long as its channel, and with the answers,
    which say how long the queues are. See docs/decisions/0012-speed.md.
    """

    def __init__(self, lent: Producer) -> None:
        self._channel = lent.channel
        self._pipeline = self._channel.client.pipeline(transaction=False)
        # Of each command whose answer is the length of a queue, that queue.
        self._queues: list[str | None] = []
        self._queue = ""
        self.depths: dict[str, int] = {}

    def put(self, content: Content, queue: str) -> None:
        body, content_type, content_encoding, headers, properties = content
        message = self._channel.prepare_message(body, 0, content_type, content_encoding, headers, properties)
        self._queue = queue
        # As above: the default exchange.
        self._channel.basic_publish(message, exchange="", routing_key=queue, _publish_batch=self)

    def add(self, command: str, *arguments: Any) -> None:
        """kombu calls it for each command that a message takes: the LPUSH, and more where the queue may expire."""
        getattr(self._pipeline, command)(*arguments)
        self._queues.append(self._queue if command == "lpush" else None)

    def go(self) -> None:
        answers = self._pipeline.execute()
        self.depths |= {queue: n for queue, n in zip(self._queues, answers, strict=True) if queue is not None}
        self._queues = []


def round_trips(lent: Producer, timeout: float) -> OneByOne | Together:
    return Together(lent) if is_redis(lent.connection) else OneByOne(lent, timeout)
