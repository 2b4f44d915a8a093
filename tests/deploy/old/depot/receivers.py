from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save

from depot.models import Parcel
from depot.signals import counted, stored
from events import Backoff, offload
from tests.deploy.effects import leave

TWICE = Backoff(first=0.1, factor=1, tries=2)


@offload(post_delete, sender=Parcel)
@offload(post_save, sender=Parcel, track=("colour", "weight", "title"))
def record_parcel(sender: Any, instance: Parcel, event: Any, **kwargs: Any) -> None:
    held = {name: value for name, value in instance.__dict__.items() if name in fields_of(instance)}
    leave("record_parcel", event, **held, changes=event.changes, withheld=event.withheld)


def fields_of(instance: Parcel) -> set[str]:
    return {field.attname for field in instance._meta.concrete_fields}


@offload(post_save, sender=Parcel)
def weigh_parcel(sender: Any, event: Any, **kwargs: Any) -> None:
    leave("weigh_parcel", event)


@offload(post_save, sender=Parcel)
def paint_parcel(sender: Any, event: Any, **kwargs: Any) -> None:
    """Only here."""
    leave("paint_parcel", event)


@offload(stored, retry=TWICE)
def record_stored(sender: Any, parcel: Parcel, shelf: int, event: Any, **kwargs: Any) -> None:
    leave("record_stored", event, title=parcel.title, shelf=shelf)


@offload(counted)
def record_count(sender: Any, number: int, event: Any, **kwargs: Any) -> None:
    leave("record_count", event, number=number, others=sorted(kwargs))
