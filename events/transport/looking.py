"""What is in the broker now: looked at, never inferred from time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from events.message import HEADER
from events.transport import rabbitmq
from events.transport.connecting import is_redis, producer
from events.transport.publishing import PATIENT

# Messages read in one round trip: all of them together may be large.
_AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    depth: int
    # Of these, the relay's own; all of them where nobody looked closely.
    relayed: int
    # (receiver, event id) of every delivery in the queue; None where nobody looked closely.
    ids: frozenset[tuple[str, str]] | None


def look(queue: str, timeout: float = PATIENT, *, closely: Callable[[int], bool] = bool) -> Look:
    """Raises what the broker's client raises.

    `closely`: whether a queue of that depth is worth it; asked where looking disturbs the broker.
    """
    with producer(timeout) as lent:
        if is_redis(lent.connection):
            return _seen(list(_headers(lent.channel, queue)))
        depth = rabbitmq.depth(lent.connection, queue)
        if depth and not closely(depth):
            return Look(depth=depth, relayed=depth, ids=None)
        # An empty one needs no closer look.
        return _seen([_ours(each) for each in rabbitmq.headers(lent.connection, queue)] if depth else [])


def _seen(headers: list[dict[str, Any]]) -> Look:
    return Look(
        depth=len(headers),
        relayed=sum(any(header.get("attempts", ())) for header in headers),
        ids=frozenset(pair for header in headers for pair in _deliveries(header)),
    )


def _headers(channel: Any, queue: str) -> Iterator[dict[str, Any]]:
    # kombu's prefixing client doesn't know LRANGE: the key is spelled out.
    key = f"{channel.global_keyprefix}{channel._q_for_pri(queue, 0)}"
    return (_header(raw) for raw in _messages(channel.client, key))


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
        if not is_redis(lent.connection):
            return rabbitmq.depth(lent.connection, queue)
        size: int = lent.channel._size(queue)
        return size


def _header(raw: bytes) -> dict[str, Any]:
    try:
        return _ours(json.loads(raw)["headers"])
    except (ValueError, KeyError, TypeError):
        return {}


def _ours(headers: Any) -> dict[str, Any]:
    try:
        header = headers[HEADER]
        return header if isinstance(header["ids"], list) and isinstance(header["attempts"], list) else {}
    except (KeyError, TypeError):
        # Somebody else's message in our queue: nothing of ours is in it.
        return {}


def _deliveries(header: dict[str, Any]) -> list[tuple[str, str]]:
    return [(str(header.get("receiver")), str(event_id)) for event_id in header.get("ids", ())]
