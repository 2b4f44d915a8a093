"""Publishing right after the commit, where the broker answers and its queue is short.

Everything else is the relay's: it packs across commits, and it sees what got lost here. The emitter decides and
goes on; a thread of its own talks to the broker: see docs/decisions/0006-publishers-budget.md.
"""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from events import pauses, transport
from events.breaker import Breaker
from events.conf import settings
from events.depths import Depths
from events.message import Message, inlined
from events.outbox import Emission
from events.registry import registry
from events.timing import limits
from events.transport.courier import Courier, Load

logger = logging.getLogger("events")

# Seconds the broker may take for one answer. Only the courier waits for it.
_ANSWER = 1.0
# Seconds that what a commit publishes waits for others, where its queue has enough in it.
_LONGEST = 0.05
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
        self.depths = Depths(_ANSWER)
        self._suspended = 0

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
        try:
            # Also where nothing is published: else a pause, once known, would never be seen to end. And before the
            # courier has work: while the database answers, it would take Python's lock, for 5 ms at a time.
            pauses.current(using)
        except Exception:
            # The emitter's work is committed: nothing may fail it now, and the relay finds the events.
            logger.exception("events.fast_path remedy='the relay publishes what waits'")
        if emissions:
            maps = {id(emission.receivers): emission.receivers for emission in emissions}
            queues = {queue for receivers in maps.values() for queue in receivers.values()}
            self.courier.take(queues, Parcel(using, emissions))

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
        self.depths.forget()

    def _is_short(self, queue: str) -> bool:
        if not self.depths.is_long(queue):
            return True
        if self.depths.is_to_be_asked(queue):
            self.courier.take((queue,))
        return False

    def _deliver(self, loads: Sequence[Load[Parcel]], hurry: bool) -> Sequence[Load[Parcel]]:
        by_queue: dict[str, list[Load[Parcel]]] = defaultdict(list)
        for load in loads:
            by_queue[load.queue].append(load)
        busy = set() if hurry else {queue for queue, some in by_queue.items() if self._may_wait(queue, some)}
        messages = _pack(load for load in loads if load.queue not in busy)
        if messages:
            # Of commits that meet, no worker waits for the first.
            self._sent(messages, transport.publish(messages, timeout=_ANSWER, first_alone=len(loads) == 1))
            self.breaker.worked()
        asked = {queue for queue, some in by_queue.items() if not any(load.parcel for load in some)}
        for queue in by_queue.keys() - busy:
            if queue in asked or self.depths.is_doubtful(queue):
                self.depths.measure(queue)
        return [load for load in loads if load.queue in busy]

    def _sent(self, messages: Sequence[Message], depths: Mapping[str, int]) -> None:
        for queue, sent in Counter(message.queue for message in messages).items():
            if queue in depths:
                self.depths.answered(queue, depths[queue])
            else:
                self.depths.sent(queue, sent)

    def _may_wait(self, queue: str, loads: Sequence[Load[Parcel]]) -> bool:
        """Where workers have enough to do, commits share messages; not for long, as others may be free by now."""
        since = next((load.at for load in loads if load.parcel), None)
        return since is not None and time.monotonic() - since < _LONGEST and self.depths.is_busy(queue)

    def _recover(self, error: Exception) -> None:
        # Its own connections may be dead, or have half an answer in them; a relay in this process has others.
        transport.reset(_ANSWER)
        self.breaker.outlast(error)

    def _probe(self) -> None:
        with self.courier.talking:
            transport.probe()


def _pack(loads: Iterable[Load[Parcel]]) -> list[Message]:
    """One message per receiver and `batch` events, whichever commits they are of, in the order they were emitted."""
    by_receiver: dict[tuple[str, str, str], list[Emission]] = defaultdict(list)
    for _, queue, parcel in loads:
        using, emissions = parcel or ("", ())
        for emission in emissions:
            for name in emission.published:
                if emission.receivers[name] == queue:
                    by_receiver[name, queue, using].append(emission)
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
