from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Model
from django.db.models.signals import m2m_changed
from django.dispatch import receiver

from library.conf import library_settings
from library.exceptions import TooManyCategoriesError
from library.models import Book, Category

through = Book.categories.through


@receiver(m2m_changed, sender=through)
def refuse_too_many_categories(
    sender: type[Model],
    instance: Book | Category,
    action: str,
    reverse: bool,
    pk_set: set[int],
    using: str,
    **kwargs: Any,
) -> None:
    """Refuses more categories for a book than `LIBRARY["CATEGORIES_PER_BOOK"]`, from either side."""
    # The form says it first and friendlier; this holds for every other way in.
    if action != "pre_add":
        return
    # Reverse: `category.books.add(…)`, where pk_set names books, each of which gains one category.
    added = Counter(pk_set) if reverse else Counter({instance.pk: len(pk_set)})
    now = Counter(through.objects.using(using).filter(book_id__in=added).values_list("book_id", flat=True))
    limit = library_settings().categories_per_book
    if any(now[book] + more > limit for book, more in added.items()):
        raise TooManyCategoriesError(limit)
