from __future__ import annotations

from typing import Any

from django.db.models.signals import post_init, post_save, pre_init
from django.dispatch import receiver

from library.models import Book


@receiver(pre_init, sender=Book)
def tidy_new_book(sender: type[Book], kwargs: dict[str, Any], **_: Any) -> None:
    """Collapses the spaces in title and author of a book that is made by keyword."""
    # A loaded row comes as positional values and stays as it is.
    for name in ("title", "author"):
        if isinstance(kwargs.get(name), str):
            kwargs[name] = " ".join(kwargs[name].split())


@receiver(post_init, sender=Book)
def remember_loaded_state(sender: type[Book], instance: Book, **kwargs: Any) -> None:
    """Remembers the cover a book was loaded with."""
    # For every book loaded, so without a query; `Book.cover_change` is computed from it on demand.
    instance.remember_loaded_state()


@receiver(post_save, sender=Book)
def remember_saved_state(
    sender: type[Book], instance: Book, update_fields: frozenset[str] | None, **kwargs: Any
) -> None:
    """Remembers the cover just saved as the one loaded."""
    if update_fields is None or "cover" in update_fields:
        instance.remember_loaded_state()
