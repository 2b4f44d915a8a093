"""What travels on the broker: one receiver, some of its events, signed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from events.conf import settings
from events.exceptions import Refused
from events.ids import uuid7
from events.signing import sign, verify

HEADER = "events"
# Beside it, where the relay put a copy in the place of a message whose worker died: the broker's own mark is gone.
RETURNED = "events_returned"
# Events of one message, whatever a receiver's `batch`: more are nobody's of ours, and not even looked at.
MOST_EVENTS = 10_000
# Envelopes of the largest size that one message carries: a relay reads all messages in the broker, and a worker's
# parent has some in hand.
_INLINE = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`envelopes[i]` is the JSON of event `ids[i]`, or "" where the worker reads it from the outbox."""

    receiver: str
    queue: str
    using: str
    ids: tuple[str, ...]
    envelopes: tuple[str, ...]
    # How often each was sent; 0 is the emitter's own message, whose deliveries have no rows yet.
    attempts: tuple[int, ...]
    careful: bool = False
    limits: tuple[float | None, float | None] = (None, None)
    id: str = field(default_factory=lambda: str(uuid7()))

    def header(self) -> dict[str, Any]:
        return {
            "receiver": self.receiver,
            # Signed, and not taken from where the message lay: a delivery that fails waits for this queue again.
            "queue": self.queue,
            "using": self.using,
            "ids": list(self.ids),
            "attempts": list(self.attempts),
            "careful": self.careful,
            "signature": sign(*self._signed()),
        }

    def _signed(self) -> Sequence[str]:
        numbers = ",".join(map(str, self.attempts))
        named = (self.receiver, self.queue, self.id, self.using)
        return (*named, f"{self.careful}", numbers, *self.ids, *self.envelopes)

    @classmethod
    def received(cls, header: Any, envelopes: Sequence[str], *, task: str, id: str) -> Message:
        """Raises `Refused` where it isn't, to the letter, a message that a holder of our key published for `task`."""
        try:
            message = cls(
                receiver=_of(str, header["receiver"]),
                queue=_of(str, header["queue"]),
                using=_of(str, header["using"]),
                ids=_all_of(str, header["ids"]),
                envelopes=_all_of(str, envelopes),
                # Types too: signed are texts, and "False" would sign like False.
                attempts=_all_of(int, header["attempts"]),
                careful=_of(bool, header["careful"]),
                id=_of(str, id),
            )
            signature = _of(str, header["signature"])
        except (KeyError, TypeError) as error:
            raise Refused(f"not a message of the bus: {error!r}") from error
        message._check(signature, task)
        return message

    def _check(self, signature: str, task: str) -> None:
        if len(self.ids) > MOST_EVENTS:
            raise Refused(f"it names {len(self.ids)} events, and no message carries more than {MOST_EVENTS}")
        if self.receiver != task:
            raise Refused(f"it is signed for {self.receiver!r} and was aimed at {task!r}")
        if not len(self.ids) == len(self.envelopes) == len(self.attempts):
            raise Refused("ids, envelopes and attempts differ in number")
        try:
            genuine = verify(signature, *self._signed())
        except (TypeError, ValueError) as error:
            # No ASCII in the signature, or half a character in a text.
            raise Refused(f"not a message of the bus: {error!r}") from error
        if not genuine:
            raise Refused("the signature does not fit: altered, forged, or signed with a key that is gone")


def _of(kind: type[T], value: Any) -> T:
    # Exactly: a bool is an int to isinstance.
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} expected, got {type(value).__name__}")
    return value


def _all_of(kind: type[T], values: Any) -> tuple[T, ...]:
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"a list expected, got {type(values).__name__}")
    return tuple(_of(kind, value) for value in values)


def named(receiver: Any, ids: Any) -> list[tuple[str, UUID]]:
    """The deliveries that an unverified header names; none where no message of the bus has such a one."""
    try:
        few = [] if len(ids) > MOST_EVENTS else _all_of(str, ids)
        return [(_of(str, receiver), UUID(each)) for each in few]
    except (TypeError, ValueError):
        return []


def inlined(envelopes: Iterable[str]) -> tuple[str, ...]:
    """The envelopes as a message carries them: "" for those that stay in the outbox, where one is large or all are."""
    # Together by characters, not bytes: JSON of the bus is ASCII but for text, and that limit is no border of anything.
    room, limit = room_inline(), settings.MAX_INLINE_BYTES
    carried = []
    for envelope in envelopes:
        # A character has four bytes at most: nearly all are short enough to need no counting.
        fits = len(envelope) <= room and (len(envelope) * 4 <= limit or len(envelope.encode()) <= limit)
        carried.append(envelope if fits else "")
        room -= len(carried[-1])
    return tuple(carried)


def room_inline() -> int:
    """Characters that all envelopes of one message may have together."""
    return _INLINE * settings.MAX_INLINE_BYTES
