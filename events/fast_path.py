"""Publishing right after the commit, where the broker answers and its queue is short.

Everything else is the relay's: it packs across commits, and it sees what got lost here.
"""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from events import pauses, transport
from events.breaker import Breaker
from events.conf import settings
from events.message import Message, inline
from events.outbox import Emission
from events.registry import registry
from events.timing import limits

logger = logging.getLogger("events")

# Seconds a queue's length is believed.
_DEPTH_FRESH = 0.1


class SlowBroker(Exception):
    """It answers, but too late for a request to wait for it at every commit."""


class FastPath:
    def __init__(self) -> None:
        self.breaker = Breaker(transport.probe)
        self._suspended = 0
        self._depths: dict[str, tuple[float, int]] = {}
        self._warm = 0

    def choose(self, emission: Emission, using: str) -> list[str]:
        """Asks neither broker nor database: it runs inside the emitter's transaction."""
        if self._suspended or not self.breaker.is_closed():
            return []
        paused = pauses.known(using)
        return [
            name
            for name, queue in emission.receivers.items()
            if name in registry and self._is_short(queue) and not paused.cover(name, queue)
        ]

    def publish(self, emissions: Sequence[Emission], using: str) -> None:
        if self._suspended or not self.breaker.is_closed():
            return
        try:
            messages = _pack(emissions, using)
            started = time.monotonic()
            if messages:
                transport.publish(messages, timeout=settings.PUBLISH_TIMEOUT)
            self._measure({queue for emission in emissions for queue in emission.receivers.values()}, started)
            pauses.current(using)
        except SlowBroker as error:
            # Its connections are sound: new ones would take the longest of all.
            self.breaker.trip(error)
        except Exception as error:  # noqa: BLE001 - the emitter's work is committed: nothing may fail it now
            self.breaker.trip(error)
            transport.reset()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Within it nothing is published from any thread: all is left to the relay."""
        self._suspended += 1
        try:
            yield
        finally:
            self._suspended -= 1

    def _is_short(self, queue: str) -> bool:
        _, depth = self._depths.get(queue, (0.0, 0))
        return depth < settings.WINDOW

    def _measure(self, queues: set[str], started: float) -> None:
        for queue in queues:
            now = time.monotonic()
            if self._warm == os.getpid() and now - started > settings.PUBLISH_TIMEOUT / 2:
                raise SlowBroker(f"The broker took {now - started:.3f} s of an emitter's time.")
            measured, _ = self._depths.get(queue, (-1.0, 0))
            if now - measured > _DEPTH_FRESH:
                self._depths[queue] = (now, transport.depth(queue, settings.PUBLISH_TIMEOUT))
        # A process's first time is its own: it imports and connects.
        self._warm = os.getpid()


def _pack(emissions: Sequence[Emission], using: str) -> list[Message]:
    """One message per receiver and `batch` events, in the order they were emitted."""
    by_receiver: dict[tuple[str, str], list[Emission]] = defaultdict(list)
    for emission in emissions:
        for name in emission.published:
            by_receiver[name, emission.receivers[name]].append(emission)
    messages = []
    for (name, queue), some in by_receiver.items():
        size = registry.get(name).batch
        slices = (some[start : start + size] for start in range(0, len(some), size))
        messages += [_message(name, queue, using, part) for part in slices]
    return messages


def _message(name: str, queue: str, using: str, some: Sequence[Emission]) -> Message:
    return Message(
        receiver=name,
        queue=queue,
        using=using,
        ids=tuple(str(emission.id) for emission in some),
        envelopes=tuple(inline(emission.envelope) for emission in some),
        attempts=(0,) * len(some),
        limits=limits(name, len(some)),
    )


fast_path = FastPath()
