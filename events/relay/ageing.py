"""Rows by age, a slice at a time: what the relay does, it does in transactions of a fraction of a second."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connections
from django.db.models import CharField, DateTimeField, F, QuerySet, Value
from django.db.models.functions import Cast

# Seconds that a transaction which deletes may take: nobody waits longer for its locks.
TARGET = 0.05
# Rows of a slice. The most is what every database takes as parameters of one statement.
_FIRST, _LEAST, _MOST = 50, 10, 900


class Size:
    """Rows of the next slice: as many as `target` seconds allow, by what the last ones took."""

    def __init__(self, *, target: float = TARGET, first: int = _FIRST, most: int = _MOST) -> None:
        self.rows = first
        self._target = target
        self._most = most

    def learn(self, seconds: float, gone: int) -> None:
        if gone:
            fitting = int(self._target * gone / max(seconds, 0.001))
            # At most twice as many: the next ones may be larger than those that were so fast.
            self.rows = max(_LEAST, min(self._most, fitting, self.rows * 2))


def slices(rows: QuerySet[Any], at: str, size: Size) -> Iterator[list[Any]]:
    """The keys of `rows`, the oldest by their time `at` first, each once.

    Each slice goes on from where the last one ended. Looked for from the beginning, what has to stay would be
    read again for every slice: a million dead letters, two thousand times.
    """
    last: tuple[Any, Any] | None = None
    while found := _after(rows, at, last, size.rows):
        last = found[-1]
        yield [pk for pk, _ in found]


def _after(rows: QuerySet[Any], at: str, last: tuple[Any, Any] | None, size: int) -> list[tuple[Any, Any]]:
    is_text = connections[rows.db].vendor == "sqlite"
    # SQLite keeps times as texts and knows two forms of each: only as it is stored does one equal itself.
    stored = Cast(at, CharField()) if is_text else F(at)
    found = rows.order_by(at, "pk").values_list("pk", stored)
    if last is None:
        return list(found[:size])
    pk, moment = last[0], Value(last[1], output_field=CharField() if is_text else DateTimeField())
    # In two, because no database uses its index for "later, or as late and a higher key".
    level = list(found.filter(**{at: moment, "pk__gt": pk})[:size])
    return level + list(found.filter(**{f"{at}__gt": moment})[: size - len(level)])
