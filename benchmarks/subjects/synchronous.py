"""The zero line: receivers that do their work in the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models.signals import post_save

from benchmarks.ledger import RECEIVERS, here
from benchmarks.subjects.models import Inserted, Item, Listed, Loose


def _marking(number: int) -> Callable[..., None]:
    def receive(sender: Any, instance: Any, **kwargs: Any) -> None:
        here.mark(number, instance.pk)

    return receive


def _inserting(number: int) -> Callable[..., None]:
    def receive(sender: Any, instance: Any, **kwargs: Any) -> None:
        Inserted.objects.create(receiver=number, event=instance.pk)
        here.mark(number, instance.pk)

    return receive


for number in range(RECEIVERS):
    mark = _marking(number)
    for model in (Item, Loose):
        post_save.connect(mark, sender=model, weak=False)
    post_save.connect(_inserting(number), sender=Listed, weak=False)


def recorded() -> int:
    return here.ledger.done()
