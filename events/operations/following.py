from __future__ import annotations

from django.db.models import Q, QuerySet

from events.models import IS_UNFINISHED, UNFINISHED, Delivery

# Rows commit in another order than their ids were given: so many behind the newest are looked at again.
_BEHIND = 500
# Unfinished deliveries whose next state is waited for, the newest first.
_WATCHED = 500

Mark = tuple[str, int, int]


class Follower:
    """Deliveries whose state has changed since the last look, through the primary key alone."""

    def __init__(self, using: str, receiver: str | None = None, begin: int = 0) -> None:
        rows = Delivery.objects.using(using).select_related("event").defer("event__envelope")
        self._rows: QuerySet[Delivery] = rows if receiver is None else rows.filter(receiver=receiver)
        self._seen: dict[int, Mark] = {}
        self._watched: set[int] = set()
        self._top = 0
        self._begin(begin)

    def _begin(self, lines: int) -> None:
        """Take everything until now as seen, but for the last few."""
        unfinished = self._rows.filter(IS_UNFINISHED).order_by("-pk")
        newest = list(self._rows.order_by("-pk")[:_BEHIND])
        for row in (*unfinished[:_WATCHED], *newest):
            self._note(row)
        for row in newest[:lines]:
            self._seen.pop(row.pk, None)

    def changed(self) -> list[Delivery]:
        """In the order they were made."""
        floor = max(self._top - _BEHIND, 0)
        rows = self._rows.filter(Q(pk__gt=floor) | Q(pk__in=self._watched)).order_by("pk")
        changed = [row for row in rows if self._seen.get(row.pk) != _mark(row)]
        for row in changed:
            self._note(row)
        self._forget(floor)
        return changed

    def _note(self, row: Delivery) -> None:
        self._seen[row.pk] = _mark(row)
        self._top = max(self._top, row.pk)
        if row.state not in UNFINISHED:
            self._watched.discard(row.pk)
        elif len(self._watched) < _WATCHED:
            self._watched.add(row.pk)

    def _forget(self, floor: int) -> None:
        """What is neither new nor watched: memory stays small however long it runs."""
        self._seen = {pk: mark for pk, mark in self._seen.items() if pk > floor or pk in self._watched}


def _mark(row: Delivery) -> Mark:
    return (row.state, row.attempt, row.tries)
