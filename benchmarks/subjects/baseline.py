"""What people write today: a task, and a receiver that calls it after the commit. Not durable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import shared_task
from django.db.models.signals import post_save

from benchmarks.ledger import RECEIVERS, here
from benchmarks.subjects.models import Inserted, Item, Listed, Loose


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


def _calling(task: Any) -> Callable[..., None]:
    def receive(sender: Any, instance: Any, **kwargs: Any) -> None:
        task.delay_on_commit(instance.pk)

    return receive


for number in range(RECEIVERS):
    mark = _calling(_marking(number))
    for model in (Item, Loose):
        post_save.connect(mark, sender=model, weak=False)
    post_save.connect(_calling(_inserting(number)), sender=Listed, weak=False)


def recorded() -> int:
    from django_celery_results.models import TaskResult

    return TaskResult.objects.filter(status="SUCCESS").count()
