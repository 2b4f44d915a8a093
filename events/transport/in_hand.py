"""What a worker has taken and not worked off, where the broker is Redis.

kombu writes each message into the broker a second time when it is taken, and erases it when it is acknowledged: two
round trips. Ours need no such copy. What a worker that died had in hand the relay knows from its beats, or misses in
queue and hand, and sends again; it never looks there. See docs/decisions/0019-in-hand.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kombu.transport import redis, virtual


def keep_in_memory(channel: redis.Channel, is_ours: Callable[[Any], bool]) -> None:
    """Of a channel that has taken none yet: messages that are ours are kept by it alone.

    They go back to their queue as all others, where they are rejected and when the channel is closed.
    """
    qos = channel.qos
    if not isinstance(qos, redis.QoS):
        # Without kombu's emulation of acknowledgements all are.
        return
    # It has nothing to put back at the end.
    qos._on_collect.cancel()
    channel._qos = InHand(channel, qos.prefetch_count, is_ours)


class InHand(redis.QoS):  # type: ignore[misc]  # kombu ships no types
    """kombu's own, but for ours."""

    def __init__(self, channel: redis.Channel, prefetch_count: int, is_ours: Callable[[Any], bool]) -> None:
        super().__init__(channel, prefetch_count)
        self._is_ours = is_ours
        # Delivery tags. Whoever acknowledges may be another thread than the one that takes.
        self._ours: set[str] = set()

    def append(self, message: Any, delivery_tag: str) -> None:
        if self._is_ours(message):
            # Where it would go back to. One that doesn't say is no message: kombu's own asks at once, too.
            _whence(message)
            self._ours.add(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        if delivery_tag in self._ours:
            self._let_go(delivery_tag)
        else:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if delivery_tag not in self._ours:
            super().reject(delivery_tag, requeue=requeue)
            return
        try:
            if requeue:
                self.restore_by_tag(delivery_tag, leftmost=True)
        finally:
            # Or it would keep its place for ever, where the broker is away: the relay sends it again.
            self._let_go(delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        if tag not in self._ours:
            super().restore_by_tag(tag, client, leftmost)
            return
        message = self._delivered[tag]
        with self.channel.conn_or_acquire(client) as lent, lent.pipeline() as pipe:
            # A copy of it may be there all the same, by a worker of a version before.
            self._remove_from_indices(tag, pipe)
            self.channel._do_restore_message(message._raw, *_whence(message), pipe, leftmost)
            pipe.execute()

    def _let_go(self, delivery_tag: str) -> None:
        self._ours.discard(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)


def _whence(message: Any) -> tuple[str, str]:
    """Exchange and routing key. Raises `KeyError` where it doesn't say."""
    return message.delivery_info["exchange"], message.delivery_info["routing_key"]
