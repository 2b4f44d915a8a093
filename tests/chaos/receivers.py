"""Receivers whose only effect is a row that says they ran."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models.signals import m2m_changed, post_delete, post_save

from events import Backoff, offload
from tests.chaos.expected import round_of
from tests.chaos.models import Effect, Item
from tests.chaos.signals import anything, happened

SOON = Backoff(first=0.3, factor=1, tries=12)


def _effect(receiver: str, mark: str, event: Any) -> Effect:
    return Effect(mark=mark, round=round_of(mark), receiver=receiver, key=event.idempotency_key)


def _leave(receiver: str, mark: str, event: Any) -> None:
    _effect(receiver, mark, event).save(force_insert=True)


def _leave_all(receiver: str, marked: Iterable[tuple[str, Any]]) -> None:
    Effect.objects.bulk_create(_effect(receiver, mark, event) for mark, event in marked)


@offload(post_save, sender=Item, queue="default")
def note_save(sender: Any, instance: Item, event: Any, **kwargs: Any) -> None:
    _leave("note_save", instance.mark, event)


@offload(post_save, sender=Item, queue="audit", many=True)
def index_saves(occurrences: Sequence[Any]) -> None:
    _leave_all("index_saves", [(each.instance.mark, each.event) for each in occurrences])


@offload(post_save, sender=Item, queue="emails", atomic=False)
def mail_save(sender: Any, instance: Item, event: Any, **kwargs: Any) -> None:
    _leave("mail_save", instance.mark, event)


@offload(post_delete, sender=Item, queue="default")
def note_deletion(sender: Any, instance: Item, event: Any, **kwargs: Any) -> None:
    _leave("note_deletion", instance.mark, event)


@offload(m2m_changed, sender=Item.tags.through, queue="default")
def note_tags(sender: Any, instance: Item, event: Any, **kwargs: Any) -> None:
    _leave("note_tags", instance.mark, event)


# The item may be deleted by the time it is fetched; what happened, happened.
@offload(happened, queue="default", missing="none")
def note_happening(sender: Any, item: Item | None, mark: str, event: Any, **kwargs: Any) -> None:
    _leave("note_happening", mark, event)


@offload(happened, queue="audit", many=True, missing="none")
def count_happenings(occurrences: Sequence[Any]) -> None:
    _leave_all("count_happenings", [(each.mark, each.event) for each in occurrences])


@offload(happened, queue="emails", atomic=False, missing="none")
def notify(sender: Any, mark: str, event: Any, **kwargs: Any) -> None:
    _leave("notify", mark, event)


@offload(anything, queue="audit", missing="none", retry=SOON)
def stumble(sender: Any, mark: str, event: Any, **kwargs: Any) -> None:
    """Fails now and then, with its effect written: that one must go with its transaction."""
    _leave("stumble", mark, event)
    if random.random() < 0.25:
        raise ConnectionError("now and then")


@offload(anything, queue="emails", atomic=False, missing="none")
def linger(sender: Any, mark: str, event: Any, **kwargs: Any) -> None:
    """Slow now and then: outside a transaction, so that nobody waits for its locks."""
    if random.random() < 0.05:
        time.sleep(random.uniform(0.2, 1.0))
    _leave("linger", mark, event)
