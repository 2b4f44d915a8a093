"""What is in the broker now: looked at, never inferred from time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from events.message import HEADER
from events.transport.connecting import producer
from events.transport.publishing import PATIENT

# Messages read in one round trip: all of them together may be large.
_AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    depth: int
    # Of these, the relay's own; all of them where the broker doesn't let us see.
    relayed: int
    # (receiver, event id) of every delivery in the queue; None where the broker doesn't let us see.
    ids: frozenset[tuple[str, str]] | None


def look(queue: str, timeout: float = PATIENT) -> Look:
    """Raises what the broker's client raises."""
    with producer(timeout) as lent:
        channel = lent.channel
        if lent.connection.transport.driver_type != "redis":
            depth = _declared_depth(channel, queue)
            return Look(depth=depth, relayed=depth, ids=None)
        # kombu's prefixing client doesn't know LRANGE: the key is spelled out.
        key = f"{channel.global_keyprefix}{channel._q_for_pri(queue, 0)}"
        headers = [_header(raw) for raw in _messages(channel.client, key)]
    return Look(
        depth=len(headers),
        relayed=sum(any(header.get("attempts", ())) for header in headers),
        ids=frozenset(pair for header in headers for pair in _deliveries(header)),
    )


def _messages(client: Any, key: str) -> Iterator[bytes]:
    """A few at a time, from where they are put to where they are taken.

    So none is overlooked that stays: one that is put meanwhile only pushes on those that are still to be read.
    """
    start = 0
    while some := client.lrange(key, start, start + _AT_ONCE - 1):
        yield from some
        start += len(some)


def depth(queue: str, timeout: float) -> int:
    """Messages waiting in `queue`. Raises what the broker's client raises."""
    with producer(timeout) as lent:
        if lent.connection.transport.driver_type != "redis":
            return _declared_depth(lent.channel, queue)
        size: int = lent.channel._size(queue)
        return size


def _declared_depth(channel: Any, queue: str) -> int:
    count: int = channel.queue_declare(queue, passive=True).message_count
    return count


def _header(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw)["headers"][HEADER]
        return header if isinstance(header["ids"], list) and isinstance(header["attempts"], list) else {}
    except (ValueError, KeyError, TypeError):
        # Somebody else's message in our queue: nothing of ours is in it.
        return {}


def _deliveries(header: dict[str, Any]) -> list[tuple[str, str]]:
    return [(str(header.get("receiver")), str(event_id)) for event_id in header.get("ids", ())]
