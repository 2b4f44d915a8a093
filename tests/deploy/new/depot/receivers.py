from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save

from depot.models import Parcel
from depot.signals import counted, stored
from events import Backoff, offload
from tests.deploy.effects import leave

TWICE = Backoff(first=0.1, factor=1, tries=2)


@offload(post_delete, sender=Parcel)
@offload(post_save, sender=Parcel, track=("fragile", "weight", "title"))
def record_parcel(sender: Any, instance: Parcel, event: Any, **kwargs: Any) -> None:
    held = {name: value for name, value in instance.__dict__.items() if name in fields_of(instance)}
    leave("record_parcel", event, **held, changes=event.changes, withheld=event.withheld)


def fields_of(instance: Parcel) -> set[str]:
    return {field.attname for field in instance._meta.concrete_fields}


@offload(post_save, sender=Parcel, aliases=("depot.receivers.weigh_parcel",))
def measure_parcel(sender: Any, event: Any, **kwargs: Any) -> None:
    """It was called `weigh_parcel`."""
    leave("measure_parcel", event)


@offload(post_save, sender=Parcel)
def label_parcel(sender: Any, event: Any, **kwargs: Any) -> None:
    """Only here."""
    leave("label_parcel", event)


@offload(stored, retry=TWICE)
def record_stored(sender: Any, item: Parcel, place: str, event: Any, **kwargs: Any) -> None:
    leave("record_stored", event, title=item.title, place=place)


@offload(counted)
def record_count(sender: Any, number: int, by: str, event: Any, **kwargs: Any) -> None:
    leave("record_count", event, number=number, by=by)
