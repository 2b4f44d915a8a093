"""What travels on the broker: one receiver, some of its events, signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from events.conf import settings
from events.exceptions import Refused
from events.ids import uuid7
from events.signing import sign, verify

HEADER = "events"

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
            "using": self.using,
            "ids": list(self.ids),
            "attempts": list(self.attempts),
            "careful": self.careful,
            "signature": sign(*self._signed()),
        }

    def _signed(self) -> Sequence[str]:
        numbers = ",".join(map(str, self.attempts))
        return (self.receiver, self.id, self.using, f"{self.careful}", numbers, *self.ids, *self.envelopes)

    @classmethod
    def received(cls, header: Any, envelopes: Sequence[str], *, task: str, id: str, queue: str) -> Message:
        """Raises `Refused` where it isn't, to the letter, a message that a holder of our key published for `task`."""
        try:
            message = cls(
                receiver=_of(str, header["receiver"]),
                queue=queue,
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
        return [(_of(str, receiver), UUID(each)) for each in _all_of(str, ids)]
    except (TypeError, ValueError):
        return []


def inline(envelope: str) -> str:
    """The envelope as a message carries it: "" where it is so large that it stays in the outbox."""
    # Characters, not bytes: JSON of the bus is ASCII but for text, and the limit is no border of anything.
    return envelope if len(envelope) <= settings.MAX_INLINE_BYTES else ""
