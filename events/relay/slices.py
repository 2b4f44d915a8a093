from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

from django.db.models import QuerySet

from events.models import EventRecord, Size

T = TypeVar("T")

# Rows of one statement or transaction: no lock is held for long, however many were asked for.
BATCH = 500
# Bytes of the envelopes among them, unless a single one is larger.
BYTES = 8_000_000


def slices(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def batches(rows: QuerySet[EventRecord], size: int = BATCH) -> Iterator[list[EventRecord]]:
    """The oldest first, hundreds at a time, or some megabytes of them.

    By id, which grows with time: no batch is read twice, whatever is emitted meanwhile.
    """
    rows = rows.order_by("pk")
    after = rows
    while keys := _fitting(after.values_list("pk", Size("envelope"))[:size]):
        yield list(EventRecord.objects.using(rows.db).filter(pk__in=keys).order_by("pk"))
        after = rows.filter(pk__gt=keys[-1])


def _fitting(sizes: Iterable[tuple[UUID, int]]) -> list[UUID]:
    """At least one."""
    keys: list[UUID] = []
    room = BYTES
    for key, size in sizes:
        if keys and size > room:
            break
        keys.append(key)
        room -= size
    return keys
