"""What one web process commits, and what it rolls back: its random generator decides, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from django.db import transaction

from tests.chaos.models import Item, Tag, Truth
from tests.chaos.signals import anything, happened

# Events in a bulk's transaction: more than the journal keeps in memory, now and then.
BULK = (50, 600)
# Committed items a process remembers, to change and to delete.
_KNOWN = 200


class Undo(Exception):
    """Rolls back the block it is raised in."""


class Transactions:
    """`step()` is one request's transaction. `name` tells this process, of this incarnation, from all others."""

    def __init__(self, name: str, random: Random, rolled_back: Path) -> None:
        self.name = name
        self.random = random
        self.round = 0
        self.bulk_wanted = False
        # Small transactions alone.
        self.slow = False
        self._file = rolled_back
        self._count = 0
        self._tags = list(Tag.objects.values_list("pk", flat=True))
        self._items: list[int] = []
        # Marks since the outermost block that is to be rolled back began.
        self._marks: list[str] = []
        self._kinds: tuple[tuple[Callable[[], None], float], ...] = (
            (self._saves, 30),
            (self._change, 15),
            (self._deletion, 10),
            (self._tagging, 15),
            (self._happenings, 15),
            (self._savepoints, 8),
            (self._rolled_back, 6),
            (self._bulk, 0.8),
        )

    def emitted(self) -> int:
        """Events of the last step, those of rolled-back savepoints left out."""
        return len(self._marks)

    def step(self) -> None:
        kinds, weights = zip(*self._kinds, strict=True)
        (step,) = self.random.choices(kinds, weights)
        if step == self._bulk and self.slow:
            step = self._saves
        if self.bulk_wanted:
            self.bulk_wanted = False
            step = self._bulk
        self._marks = []
        step()
        del self._items[:-_KNOWN]

    # --- One kind of transaction each ---------------------------------------------------------------------

    def _saves(self) -> None:
        with transaction.atomic():
            made = [self._save(Item()) for _ in range(self.random.randint(1, 3))]
        self._items += made

    def _change(self) -> None:
        with transaction.atomic():
            for item in self._some():
                self._save(item)

    def _deletion(self) -> None:
        with transaction.atomic():
            for item in self._some():
                item.mark = self._mark("deleted")
                item.delete()

    def _tagging(self) -> None:
        with transaction.atomic():
            for item in self._some() or [Item.objects.get(pk=self._save(Item()))]:
                item.mark = self._mark("tagged")
                tags = self.random.sample(self._tags, 2)
                how = self.random.choice(["add", "remove", "clear"])
                getattr(item.tags, how)(*(() if how == "clear" else tags))

    def _happenings(self) -> None:
        with transaction.atomic():
            (item,) = self._some() or [Item.objects.get(pk=self._save(Item()))]
            for _ in range(self.random.randint(1, 3)):
                self._happen(item)

    def _savepoints(self) -> None:
        with transaction.atomic():
            made = self._save(Item())
            item = Item.objects.get(pk=made)
            with self._undone():
                self._happen(item)
                with transaction.atomic():
                    self._save(item)
                if self.random.random() < 0.5:
                    with self._undone():
                        self._happen(item)
                self._save(Item())
            with transaction.atomic():
                self._happen(item)
        self._items.append(made)

    def _rolled_back(self) -> None:
        with self._undone():
            item = Item.objects.get(pk=self._save(Item()))
            for _ in range(self.random.randint(1, 5)):
                self._happen(item)
            with transaction.atomic():
                item.mark = self._mark("deleted")
                item.delete()

    def _bulk(self) -> None:
        size = self.random.randint(*BULK)
        saves = self.random.random() < 0.3
        with transaction.atomic():
            item = Item.objects.get(pk=self._save(Item()))
            marks = [self._next() for _ in range(size)]
            kind = "saved" if saves else "happened"
            Truth.objects.bulk_create(
                [Truth(mark=m, kind=kind, round=self.round) for m in marks], batch_size=200
            )
            for mark in marks:
                if saves:
                    Item(mark=mark).save()
                else:
                    happened.send(sender=Item, item=item, mark=mark)

    # --- What they are made of ----------------------------------------------------------------------------

    def _save(self, item: Item) -> int:
        item.mark = self._mark("saved")
        item.save()
        return item.pk

    def _happen(self, item: Item) -> None:
        if self.random.random() < 0.6:
            happened.send(sender=Item, item=item, mark=self._mark("happened"))
        else:
            anything.send(sender=Item, item=item, mark=self._mark("anything"))

    def _some(self) -> list[Item]:
        """One committed item, which is ours alone; none where there is none, or it went with a failed commit."""
        if not self._items:
            return []
        pk = self._items[self.random.randrange(len(self._items))]
        return list(Item.objects.filter(pk=pk))

    def _mark(self, kind: str) -> str:
        """Where the truth comes from: a row in the transaction and savepoint in which the event is emitted."""
        mark = self._next()
        Truth.objects.create(mark=mark, kind=kind, round=self.round)
        return mark

    def _next(self) -> str:
        self._count += 1
        mark = f"{self.round}-{self.name}-{self._count}"
        self._marks.append(mark)
        return mark

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """A block that is rolled back, and whose marks are written down then."""
        before = len(self._marks)
        try:
            with transaction.atomic():
                yield
                raise Undo
        except Undo:
            undone = self._marks[before:]
            del self._marks[before:]
            with self._file.open("a") as file:
                file.write("".join(f"{mark}\n" for mark in undone))
