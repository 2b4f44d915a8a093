"""Envelopes that stayed in the outbox are read a few megabytes at a time, whatever a message names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from django.db.models import QuerySet

from events.delivery.decoding import Item
from events.delivery.trouble import repeated
from events.models import EventRecord, Size

# Bytes of envelopes that a worker has in hand at once, unless a single one is larger. What is made of them, its
# receiver's arguments, takes several times as much.
PORTION = 4_000_000


def portions(items: Sequence[Item], using: str) -> Iterator[list[Item]]:
    """`items` with their envelopes, in their order. One that is gone stays "", and its claim is refused."""
    absent = [item.event_id for item in items if not item.envelope]
    if not absent:
        yield list(items)
        return
    # As pauses are: the first question of a message, where those were asked for a moment ago.
    sizes = repeated(using, lambda: dict(_stored(using, absent).values_list("pk", Size("envelope"))))
    for some in _cut(items, sizes):
        yield _read(some, using)


def _cut(items: Sequence[Item], sizes: Mapping[UUID, int]) -> Iterator[list[Item]]:
    some: list[Item] = []
    room = PORTION
    for item in items:
        size = len(item.envelope) or sizes.get(item.event_id, 0)
        if some and size > room:
            yield some
            some, room = [], PORTION
        some.append(item)
        room -= size
    if some:
        yield some


def _read(items: Sequence[Item], using: str) -> list[Item]:
    absent = [item.event_id for item in items if not item.envelope]
    stored = dict(_stored(using, absent).values_list("pk", "envelope")) if absent else {}
    return [
        item if item.envelope else replace(item, envelope=stored.get(item.event_id, "")) for item in items
    ]


def _stored(using: str, ids: Sequence[UUID]) -> QuerySet[EventRecord]:
    return EventRecord.objects.using(using).filter(pk__in=ids)
