"""Publishing right after the commit, where the broker answers and its queue is short.

Everything else is the relay's: it packs across commits, and it sees what got lost here. The emitter decides and
goes on; a thread of its own talks to the broker: see docs/decisions/0006-publishers-budget.md.
"""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from events import pauses, transport
from events.breaker import Breaker
from events.conf import settings
from events.message import Message, inlined
from events.outbox import Emission
from events.registry import registry
from events.timing import limits
from events.transport import Courier

logger = logging.getLogger("events")

# Seconds a queue's length is believed.
_DEPTH_FRESH = 0.1
# Seconds the broker may take for one answer. Only the courier waits for it.
_ANSWER = 1.0
# Seconds a process that ends waits for what it committed last, unless the broker fails before; the relay would
# need some twenty.
_AT_EXIT = 10.0


class Parcel(NamedTuple):
    """What one transaction on `using` committed."""

    using: str
    emissions: Sequence[Emission]


class FastPath:
    def __init__(self) -> None:
        self.courier: Courier[Parcel] = Courier(self._deliver, self._recover)
        self.breaker = Breaker(self._probe)
        self._suspended = 0
        self._depths: dict[str, tuple[float, int]] = {}
        # When each long queue was last asked about, which is not when it was measured.
        self._asked: dict[str, float] = {}

    def choose(self, receivers: Mapping[str, str], using: str) -> Sequence[str]:
        """Asks neither broker nor database: it runs inside the emitter's transaction."""
        if self._suspended or not self.flows():
            return ()
        paused = pauses.known(using)
        return [
            name
            for name, queue in receivers.items()
            if name in registry and self._is_short(queue) and not paused.cover(name, queue)
        ]

    def flows(self) -> bool:
        """Whether the broker takes messages, and in time, as far as this process knows."""
        return self.breaker.is_closed() and not self.courier.is_late(settings.PUBLISH_TIMEOUT)

    def publish(self, emissions: Sequence[Emission], using: str) -> None:
        """Returns at once: the courier talks to the broker."""
        if self._suspended:
            return
        if emissions:
            maps = {id(emission.receivers): emission.receivers for emission in emissions}
            queues = {queue for receivers in maps.values() for queue in receivers.values()}
            self.courier.take((Parcel(using, emissions),), queues)
        try:
            # Also where nothing is published: else a pause, once known, would never be seen to end.
            pauses.current(using)
        except Exception:
            # The emitter's work is committed: nothing may fail it now, and the relay finds the events.
            logger.exception("events.fast_path remedy='the relay publishes what waits'")

    def finish(self, seconds: float = _AT_EXIT) -> bool:
        """Wait until all that was published is handed over, but not for a broker that fails; whether it is."""
        return self.courier.finish(seconds)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Within it nothing is published from any thread: all is left to the relay."""
        self._suspended += 1
        try:
            self.finish()
            yield
        finally:
            self._suspended -= 1

    def begin_anew(self) -> None:
        """For a fork: it has its parent's memory, but neither its threads nor its connections."""
        self.courier.begin_anew()
        self.breaker.begin_anew()
        self._depths, self._asked = {}, {}

    def _is_short(self, queue: str) -> bool:
        measured, depth = self._depths.get(queue, (0.0, 0))
        if depth < settings.WINDOW:
            return True
        now = time.monotonic()
        if now - max(measured, self._asked.get(queue, 0.0)) > _DEPTH_FRESH:
            # Nothing is published into a long queue, so nobody else would see it become short.
            self._asked[queue] = now
            self.courier.take((), (queue,))
        return False

    def _deliver(self, parcels: Sequence[Parcel], queues: Collection[str]) -> None:
        messages = _pack(parcels)
        if messages:
            transport.publish(messages, timeout=_ANSWER)
            self.breaker.worked()
        for queue in queues:
            measured, _ = self._depths.get(queue, (float("-inf"), 0))
            if not messages or time.monotonic() - measured > _DEPTH_FRESH:
                self._depths[queue] = (time.monotonic(), transport.depth(queue, _ANSWER))

    def _recover(self, error: Exception) -> None:
        # Its own connections may be dead, or have half an answer in them; a relay in this process has others.
        transport.reset(_ANSWER)
        self.breaker.outlast(error)

    def _probe(self) -> None:
        with self.courier.talking:
            transport.probe()


def _pack(parcels: Sequence[Parcel]) -> list[Message]:
    """One message per receiver and `batch` events, whichever commits they are of, in the order they were emitted."""
    by_receiver: dict[tuple[str, str, str], list[Emission]] = defaultdict(list)
    for using, emissions in parcels:
        for emission in emissions:
            for name in emission.published:
                by_receiver[name, emission.receivers[name], using].append(emission)
    messages = []
    for (name, queue, using), some in by_receiver.items():
        if name not in registry:
            logger.warning("events.fast_path receiver=%s remedy='the relay publishes what waits'", name)
            continue
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
        envelopes=inlined(emission.envelope for emission in some),
        attempts=(0,) * len(some),
        limits=limits(name, len(some)),
    )


fast_path = FastPath()

# A fork in the middle of a conversation would inherit locks that nobody holds.
os.register_at_fork(
    before=fast_path.courier.hold_for_fork,
    after_in_parent=fast_path.courier.release_after_fork,
    after_in_child=fast_path.begin_anew,
)
atexit.register(fast_path.finish)
