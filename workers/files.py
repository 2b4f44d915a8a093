from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.apps import apps
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage
from django.db.models import FileField, Model
from django.db.models.signals import post_delete, post_save

from events import Skip, offload
from events.delivery.occurrence import DeliveredEvent
from library.models import Book

# A name that leads out of MEDIA_ROOT; a storage that can't tell when a file was written: for a person to see.
GIVE_UP_ON = (SuspiciousFileOperation, NotImplementedError)


def had_cover(sender: type[Book], *, instance: Book, **kwargs: Any) -> bool:
    # Not the attribute: deferred, it would look for the row that was just deleted.
    return bool(instance.__dict__.get("cover"))


def is_edited(sender: type[Book], *, created: bool, **kwargs: Any) -> bool:
    return not created


@offload(post_delete, sender=Book, queue="files", atomic=False, when=had_cover, give_up_on=GIVE_UP_ON)
def remove_deleted_cover(sender: type[Book], instance: Book, event: DeliveredEvent, **kwargs: Any) -> None:
    """Removes the cover file of a deleted book, unless it is in use or was written again."""
    remove_unused(Book.cover.field.storage, instance.cover.name, event.time)


@offload(
    post_save,
    sender=Book,
    queue="files",
    atomic=False,
    when=is_edited,
    track=("cover",),
    give_up_on=GIVE_UP_ON,
)
def remove_replaced_cover(sender: type[Book], event: DeliveredEvent, **kwargs: Any) -> None:
    """Removes the file of a cover that was replaced or cleared, unless it is in use or was written again."""
    before, _ = event.changes.get("cover", (None, None))
    if not before:
        raise Skip("no cover was replaced or cleared")
    remove_unused(Book.cover.field.storage, before, event.time)


def remove_unused(storage: Storage, name: str, since: datetime) -> None:
    """Delete the file if no row holds its name and it has not been written after `since`; twice is once."""
    holder = next(holders(storage, name), None)
    if holder is not None:
        raise Skip(f"{holder._meta.label_lower}/{holder.pk} uses {name}"[:200])
    try:
        written = storage.get_modified_time(name)
    except FileNotFoundError:
        return  # an earlier try removed it
    if written > since:
        raise Skip(f"{name} was written again"[:200])
    storage.delete(name)


def holders(storage: Storage, name: str) -> Iterator[Model]:
    """The rows, of any model, whose file of that name lies in that storage."""
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields:
            if isinstance(field, FileField) and field.storage == storage:
                yield from model._base_manager.filter(**{field.name: name})[:1]
