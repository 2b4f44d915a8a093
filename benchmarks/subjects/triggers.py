"""django-pgpubsub: a trigger of the table writes one row for an event, and a process listens.

Its notifications are stored and locked, without which it would lose those of while nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pgpubsub.channel import TriggerChannel
from pgpubsub.listeners import post_insert_listener

from benchmarks.ledger import RECEIVERS, here
from benchmarks.subjects.models import Inserted, Item, Listed


@dataclass
class ItemChannel(TriggerChannel):
    model = Item
    lock_notifications = True


@dataclass
class ListedChannel(TriggerChannel):
    model = Listed
    lock_notifications = True


def _marking(number: int) -> Callable[..., None]:
    def receive(old: Any, new: Any) -> None:
        here.mark(number, new.pk)

    return receive


def _inserting(number: int) -> Callable[..., None]:
    def receive(old: Any, new: Any) -> None:
        Inserted.objects.create(receiver=number, event=new.pk)
        here.mark(number, new.pk)

    return receive


for each in range(RECEIVERS):
    post_insert_listener(ItemChannel)(_marking(each))
    post_insert_listener(ListedChannel)(_inserting(each))


def prepare() -> None:
    from django.core.management import call_command

    call_command("pgtrigger", "install", verbosity=0)


def recorded() -> int:
    """A notification that was dealt with is gone."""
    from pgpubsub.models import Notification

    return (Item.objects.count() + Listed.objects.count() - Notification.objects.count()) * RECEIVERS
