"""How long the queues are, as far as this process knows: measured, and what it has sent since."""

from __future__ import annotations

import time
from typing import NamedTuple

from events import transport
from events.conf import settings

# Seconds until a long queue, into which nothing is published, is asked about again.
_ASK_AGAIN = 0.1
# Messages that keep a process busy until the queue is looked at again.
_FEW = 4
# Between two such looks, in seconds: for each message beyond those, and at least. No worker takes them sooner.
_EACH, _AT_LEAST = 0.001, 0.01
# Seconds after which commits don't meet any more: one that comes later goes alone, and at once.
_LONE = 0.02


class _Depth(NamedTuple):
    messages: int
    # By the monotonic clock, when it was measured, and when this process last sent.
    measured: float
    sent: float


_UNKNOWN = _Depth(0, float("-inf"), float("-inf"))


class Depths:
    """`timeout`: seconds the broker may take to say one."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._known: dict[str, _Depth] = {}
        # When each long queue was last asked about, which is not when it was measured.
        self._asked: dict[str, float] = {}

    def forget(self) -> None:
        self._known, self._asked = {}, {}

    def of(self, queue: str) -> int:
        """At most, if nobody else sends."""
        return self._known.get(queue, _UNKNOWN).messages

    def is_long(self, queue: str) -> bool:
        """Whether the relay had better pack what comes now. Asks nobody."""
        return self.of(queue) >= settings.WINDOW

    def is_to_be_asked(self, queue: str) -> bool:
        """Of a long queue: nothing is published into it, so nobody else would see it become short."""
        now = time.monotonic()
        if now - max(self._known[queue].measured, self._asked.get(queue, float("-inf"))) <= _ASK_AGAIN:
            return False
        self._asked[queue] = now
        return True

    def is_busy(self, queue: str) -> bool:
        """Whether what came now would only lie behind other messages. Raises what the broker's client raises."""
        known, now = self._known.get(queue, _UNKNOWN), time.monotonic()
        if known.messages <= _FEW or now - known.sent > _LONE:
            return False
        if now < known.measured + max(_AT_LEAST, (known.messages - _FEW) * _EACH):
            return True
        return self.measure(queue) > _FEW

    def sent(self, queue: str, messages: int) -> None:
        known = self._known.get(queue, _UNKNOWN)
        self._known[queue] = _Depth(known.messages + messages, known.measured, time.monotonic())

    def answered(self, queue: str, messages: int) -> None:
        """By the broker, to what was sent just now: how many there are."""
        now = time.monotonic()
        self._known[queue] = _Depth(messages, now, now)

    def is_doubtful(self, queue: str) -> bool:
        """Whether it may be long, for all that is known: what was sent is counted, not what was taken."""
        known = self._known.get(queue, _UNKNOWN)
        return known.messages > _FEW and time.monotonic() - known.measured > _LONE

    def measure(self, queue: str) -> int:
        """Raises what the broker's client raises."""
        messages = transport.depth(queue, self._timeout)
        known = self._known.get(queue, _UNKNOWN)
        self._known[queue] = known._replace(messages=messages, measured=time.monotonic())
        return messages
