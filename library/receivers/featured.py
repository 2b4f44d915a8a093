from __future__ import annotations

from typing import Any

from django.db.models.signals import pre_delete
from django.dispatch import receiver

from library.exceptions import FeaturedBookError
from library.models import Book


@receiver(pre_delete, sender=Book)
def refuse_featured_deletion(sender: type[Book], instance: Book, using: str, **kwargs: Any) -> None:
    """Refuses the deletion of a featured book."""
    # Asks the row, not the object: it may have been featured since it was loaded.
    if Book.objects.using(using).filter(pk=instance.pk, is_featured=True).exists():
        raise FeaturedBookError(instance)
