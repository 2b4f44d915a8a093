from __future__ import annotations

from typing import Any

from django.db.models.signals import pre_save
from django.dispatch import receiver

from library.models import Book, Category
from library.slugs import unique_slug


@receiver(pre_save, sender=Book)
def set_book_slug(sender: type[Book], instance: Book, raw: bool, using: str, **kwargs: Any) -> None:
    """Gives a new book a unique slug, made from its title."""
    # Once given, a slug stays: the book's address is known to others, whatever happens to its title.
    if not raw and not instance.slug:
        instance.slug = unique_slug(instance, instance.title, using)


@receiver(pre_save, sender=Category)
def set_category_slug(
    sender: type[Category], instance: Category, raw: bool, using: str, **kwargs: Any
) -> None:
    """Gives a new category a unique slug, made from its name."""
    if not raw and not instance.slug:
        instance.slug = unique_slug(instance, instance.name, using)
