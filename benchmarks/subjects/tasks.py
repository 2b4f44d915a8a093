"""Celery's tasks, and the receivers that call them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import shared_task
from django.db.models.signals import post_save

from benchmarks.ledger import RECEIVERS, here
from benchmarks.subjects.models import Inserted, Item, Listed, Loose

Call = Callable[[Any, int], object]


def connect(call: Call) -> None:
    """Four receivers to each model, that `call(task, pk)`."""
    for number in range(RECEIVERS):
        mark = _receiver(_marking(number), call)
        for model in (Item, Loose):
            post_save.connect(mark, sender=model, weak=False)
        post_save.connect(_receiver(_inserting(number), call), sender=Listed, weak=False)


def _receiver(task: Any, call: Call) -> Callable[..., None]:
    def receive(sender: Any, instance: Any, **kwargs: Any) -> None:
        call(task, instance.pk)

    return receive


def _marking(number: int) -> Any:
    @shared_task(name=f"mark_{number}")
    def mark(pk: int) -> None:
        here.mark(number, pk)

    return mark


def _inserting(number: int) -> Any:
    @shared_task(name=f"insert_{number}")
    def insert(pk: int) -> None:
        Inserted.objects.create(receiver=number, event=pk)
        here.mark(number, pk)

    return insert


def recorded() -> int:
    from django_celery_results.models import TaskResult

    return TaskResult.objects.filter(status="SUCCESS").count()
