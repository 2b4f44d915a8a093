"""Fixtures do not emit. `loaddata` says `raw=True` with a row; with the row's many-to-many values it says nothing.

So the row is remembered as raw from its own post_save on, until it is saved in earnest.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.db.models.signals import post_save

_RAW = "_events_raw"


def watch(through: object) -> None:
    """Of a `through` model: its two sides; of None: every model."""
    for model in _sides(through) if isinstance(through, type) else [None]:
        post_save.connect(_remember, sender=model, dispatch_uid="events.fixtures")


def _sides(through: Any) -> set[type[Model]]:
    return {field.related_model for field in through._meta.fields if field.is_relation}


def _remember(instance: Model, raw: bool, **kwargs: Any) -> None:
    if raw:
        instance.__dict__[_RAW] = True
    else:
        instance.__dict__.pop(_RAW, None)


def is_raw(instance: object) -> bool:
    return _RAW in getattr(instance, "__dict__", ())
