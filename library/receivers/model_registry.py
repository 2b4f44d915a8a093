from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.db.models.signals import class_prepared
from django.dispatch import receiver

_models: dict[str, type[Model]] = {}


@receiver(class_prepared)
def register_model(sender: type[Model], **kwargs: Any) -> None:
    """Remembers every model class of the process, of all apps."""
    # Migrations build historical models by the hundred; they are none of the models that exist.
    if sender.__module__ != "__fake__":
        _models[sender._meta.label_lower] = sender


def registered_models() -> dict[str, type[Model]]:
    """Label (`library.book`) → class, of the models prepared until now, the automatic `through` ones included."""
    return dict(sorted(_models.items()))
