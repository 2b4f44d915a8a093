"""The bus: `@offload`, four receivers to a model."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save

from benchmarks.ledger import here
from benchmarks.subjects.models import Inserted, Item, Listed, Loose
from events import offload


@offload(post_save, sender=Item)
def mark_0(sender: Any, instance: Item, **kwargs: Any) -> None:
    here.mark(0, instance.pk)


@offload(post_save, sender=Item)
def mark_1(sender: Any, instance: Item, **kwargs: Any) -> None:
    here.mark(1, instance.pk)


@offload(post_save, sender=Item)
def mark_2(sender: Any, instance: Item, **kwargs: Any) -> None:
    here.mark(2, instance.pk)


@offload(post_save, sender=Item)
def mark_3(sender: Any, instance: Item, **kwargs: Any) -> None:
    here.mark(3, instance.pk)


@offload(post_save, sender=Loose, atomic=False)
def mark_loosely_0(sender: Any, instance: Loose, **kwargs: Any) -> None:
    here.mark(0, instance.pk)


@offload(post_save, sender=Loose, atomic=False)
def mark_loosely_1(sender: Any, instance: Loose, **kwargs: Any) -> None:
    here.mark(1, instance.pk)


@offload(post_save, sender=Loose, atomic=False)
def mark_loosely_2(sender: Any, instance: Loose, **kwargs: Any) -> None:
    here.mark(2, instance.pk)


@offload(post_save, sender=Loose, atomic=False)
def mark_loosely_3(sender: Any, instance: Loose, **kwargs: Any) -> None:
    here.mark(3, instance.pk)


@offload(post_save, sender=Listed, many=True)
def insert_0(occurrences: Any) -> None:
    _insert(0, occurrences)


@offload(post_save, sender=Listed, many=True)
def insert_1(occurrences: Any) -> None:
    _insert(1, occurrences)


@offload(post_save, sender=Listed, many=True)
def insert_2(occurrences: Any) -> None:
    _insert(2, occurrences)


@offload(post_save, sender=Listed, many=True)
def insert_3(occurrences: Any) -> None:
    _insert(3, occurrences)


def _insert(receiver: int, occurrences: Any) -> None:
    events = [one.instance.pk for one in occurrences]
    Inserted.objects.bulk_create(Inserted(receiver=receiver, event=event) for event in events)
    for event in events:
        here.mark(receiver, event)


def recorded() -> int:
    from events.models import Delivery, State

    return Delivery.objects.filter(state=State.DONE).count()
