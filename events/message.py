"""What travels on the broker: one receiver, some of its events, signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from events.conf import settings
from events.exceptions import Refused
from events.ids import uuid7
from events.signing import sign, verify

HEADER = "events"


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
    def received(
        cls, header: Mapping[str, Any], envelopes: Sequence[str], *, task: str, id: str, queue: str
    ) -> Message:
        """Raises `Refused` where it isn't, to the letter, a message that a holder of our key published for `task`."""
        if header.get("receiver") != task:
            raise Refused(f"it is signed for {header.get('receiver')!r} and was aimed at {task!r}")
        try:
            message = cls(
                receiver=header["receiver"],
                queue=queue,
                using=header["using"],
                ids=tuple(header["ids"]),
                envelopes=tuple(envelopes),
                attempts=tuple(header["attempts"]),
                careful=header["careful"],
                id=id,
            )
            genuine = verify(header["signature"], *message._signed())
        except (KeyError, TypeError, AttributeError) as error:
            raise Refused(f"not a message of the bus: {error!r}") from error
        if not genuine:
            raise Refused("the signature does not fit: altered, forged, or signed with a key that is gone")
        if not len(message.ids) == len(message.envelopes) == len(message.attempts):
            raise Refused("ids, envelopes and attempts differ in number")
        return message


def inline(envelope: str) -> str:
    """The envelope as a message carries it: "" where it is so large that it stays in the outbox."""
    # Characters, not bytes: JSON of the bus is ASCII but for text, and the limit is no border of anything.
    return envelope if len(envelope) <= settings.MAX_INLINE_BYTES else ""
