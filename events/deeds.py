"""Who did what, written in the transaction of the deed itself: neither is there without the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import F

from events.models import Action
from events.texts import storable


@dataclass(slots=True, kw_only=True)
class Deed:
    """One action on the outbox of `using`, however many transactions it takes. What changed nothing leaves no row."""

    using: str
    by: str
    what: str
    target: str = ""
    why: str = ""
    pk: int | None = field(default=None, init=False)

    def add(self, count: int) -> None:
        """`count` more of them are changed, in the transaction that is open."""
        if not count:
            return
        if self.pk is None:
            self.pk = self._written(count)
        else:
            Action.objects.using(self.using).filter(pk=self.pk).update(count=F("count") + count)

    def _written(self, count: int) -> int:
        row = Action.objects.using(self.using).create(
            by=storable(self.by)[:200],
            what=self.what,
            target=storable(self.target)[:300],
            count=count,
            why=storable(self.why),
        )
        return row.pk
