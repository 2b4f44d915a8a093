"""Celery's task results, where django-celery-results keeps them: its own clean-up is one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, router
from django.db.models import Model, QuerySet

from events.clock import after
from events.databases import outbox_aliases
from events.registry import registry
from events.transport.connecting import celery_app

_APP = "django_celery_results"
_DAY = 86_400


def expired(using: str, days: float) -> Iterator[QuerySet[Any]]:
    """Results to be deleted by the prune of the outbox `using`.

    Where the project set Celery's `result_expires`, it said of all results when they expire; None: never. Where it
    did not, those of our receivers go after `days`, and others are none of our business.
    """
    if not apps.is_installed(_APP):
        return
    conf = celery_app().conf
    if conf.value_set_for("result_expires"):
        age = _seconds(conf.result_expires)
        if age:
            yield from (_older(model, age) for model in _here(using, "TaskResult", "GroupResult"))
        return
    for model in _here(using, "TaskResult"):
        yield _older(model, days * _DAY).filter(task_name__in=_names())


def _here(using: str, *names: str) -> Iterator[type[Model]]:
    """The models whose table this outbox's prune takes care of: those of elsewhere are the default's."""
    for name in names:
        model = apps.get_model(_APP, name)
        home = router.db_for_write(model)
        if using == (home if home in outbox_aliases() else DEFAULT_DB_ALIAS):
            yield model


def _older(model: type[Model], seconds: float) -> QuerySet[Any]:
    # Aged by that database's clock; Celery wrote the times by the workers'.
    rows = model._base_manager.using(router.db_for_write(model))
    return rows.filter(date_done__lt=after(-seconds))


def _seconds(expires: timedelta | float | None) -> float:
    return expires.total_seconds() if isinstance(expires, timedelta) else float(expires or 0)


def _names() -> list[str]:
    return sorted({name for receiver in registry for name in (receiver.name, *receiver.aliases)})
