"""What people do in the library. Views call these; whatever else has to follow, follows from the signals."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from library.forms import BookForm, RegistrationForm
from library.models import Book, CoverChange, Reading
from library.signals import book_read, user_registered


def register_user(form: RegistrationForm) -> User:
    """Makes the account of a valid form. Profile, group, welcome mail and audit entry are receivers' work."""
    user: User = form.save()
    user_registered.send(sender=type(user), user=user)
    return user


def add_book(form: BookForm, added_by: User) -> Book:
    form.instance.added_by = added_by
    try:
        with transaction.atomic():
            book: Book = form.save()
    except IntegrityError:
        # Somebody took the slug between our look and our insert; with theirs in sight there is another.
        form.instance.pk, form.instance.slug = None, ""
        form.instance._state.adding = True
        with transaction.atomic():
            book = form.save()
    return book


def edit_book(form: BookForm) -> CoverChange:
    """Saves a valid form and says what became of the cover; a replaced file is cleaned up by a receiver."""
    change = form.instance.cover_change
    form.save()
    return change


def delete_book(book: Book) -> None:
    """Raises FeaturedBookError for a featured book."""
    # A savepoint of its own: refused inside the request's transaction, it must leave that usable for the answer.
    with transaction.atomic():
        book.delete()


def read_book(user: User, book: Book) -> bool:
    """Puts the book on the reader's shelf and emits `library.book_read`; False if it was there already."""
    with transaction.atomic():
        _, is_new = Reading.objects.get_or_create(user=user, book=book)
        if is_new:
            book_read.send(sender=Book, user=user, book=book)
    return is_new


def may_edit(user: User, book: Book) -> bool:
    """Who added a book may edit and delete it, and so may teachers."""
    return book.added_by_id == user.pk or user.has_perm("library.change_book")


def may_delete(user: User, book: Book) -> bool:
    return book.added_by_id == user.pk or user.has_perm("library.delete_book")
