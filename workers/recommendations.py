from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_save

from events import offload
from library.models import Book, Profile
from library.signals import book_read
from workers import recommend
from workers.audit import touches_rows


@offload(book_read, queue="recommendations")
def count_read_book(sender: Any, user: User, book: Book, **kwargs: Any) -> None:
    """Adds one to the reader's count of books read."""
    profile, _ = Profile.objects.get_or_create(user=user)
    profile.increment_books_read()


@offload(book_read, queue="recommendations")
def recommend_after_reading(sender: Any, user: User, book: Book, **kwargs: Any) -> None:
    """Computes the reader's recommendations anew."""
    recommend.refresh(user.pk)


def is_new(sender: type[Book], *, created: bool, **kwargs: Any) -> bool:
    return created


# Not atomic: readers may be many. Each is a short transaction of its own, and twice is as good as once.
@offload(post_save, sender=Book, queue="recommendations", atomic=False, when=is_new)
def recommend_new_book(sender: type[Book], instance: Book, **kwargs: Any) -> None:
    """Computes the recommendations anew of those who read the author of a new book."""
    recommend.refresh_outdated(recommend.readers_of_author(instance.author))


@offload(
    m2m_changed, sender=Book.categories.through, queue="recommendations", atomic=False, when=touches_rows
)
def recommend_after_sorting(
    sender: type[Model], instance: Model, model: type[Model], pk_set: Collection[int] | None, **kwargs: Any
) -> None:
    """Computes anew the recommendations of those who read the book, or in a category it joined or left."""
    here, there = [instance.pk], list(pk_set or ())
    books, categories = (there, here) if model is Book else (here, there)
    recommend.refresh_outdated(recommend.readers_concerned(books, categories))
