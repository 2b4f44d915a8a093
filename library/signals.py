"""What can happen in the library, as typed events. Nothing is connected here: receivers connect themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

from events import event
from library.models import Book

if TYPE_CHECKING:
    from django.contrib.auth.models import User
else:
    User = get_user_model()


@event("library.book_read")
def book_read(*, user: User, book: Book) -> None:
    """A reader finished a book for the first time."""


@event("library.user_registered")
def user_registered(*, user: User) -> None:
    """Someone made an account for themselves (not: an account was made in the admin)."""


@event("library.request_failed")
def request_failed(
    *, exception: str, message: str, traceback: str, route: str, method: str, fingerprint: str
) -> None:
    """A request ended in an unhandled exception. Failures with one `fingerprint` are the same failure."""


@event("library.slow_request")
def slow_request(*, method: str, route: str, milliseconds: float, status: int) -> None:
    """A request took longer than `LIBRARY["SLOW_REQUEST_MS"]`."""
