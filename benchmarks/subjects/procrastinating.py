"""procrastinate: a job is a row of the transaction, and workers take rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models.signals import post_save
from procrastinate.contrib.django import app

from benchmarks.ledger import RECEIVERS, here
from benchmarks.subjects.models import Inserted, Item, Listed


def _marking(number: int) -> Any:
    @app.task(name=f"mark_{number}")
    def mark(pk: int) -> None:
        here.mark(number, pk)

    return mark


def _inserting(number: int) -> Any:
    @app.task(name=f"insert_{number}")
    def insert(pk: int) -> None:
        Inserted.objects.create(receiver=number, event=pk)
        here.mark(number, pk)

    return insert


def _deferring(task: Any) -> Callable[..., None]:
    def receive(sender: Any, instance: Any, **kwargs: Any) -> None:
        task.defer(pk=instance.pk)

    return receive


for each in range(RECEIVERS):
    post_save.connect(_deferring(_marking(each)), sender=Item, weak=False)
    post_save.connect(_deferring(_inserting(each)), sender=Listed, weak=False)


def recorded() -> int:
    from procrastinate.contrib.django.models import ProcrastinateJob

    return ProcrastinateJob.objects.filter(status="succeeded").count()


def waiting() -> int:
    from procrastinate.contrib.django.models import ProcrastinateJob

    return ProcrastinateJob.objects.filter(status="todo").count()
