from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from library.models import Book


class LibraryError(Exception):
    """A rule of the library was broken; the message is fit for the reader's eyes."""


class FeaturedBookError(LibraryError):
    def __init__(self, book: Book) -> None:
        super().__init__(
            f"“{book.title}” is a featured book and can't be deleted. Take it off the featured list first."
        )
        self.book = book


class TooManyCategoriesError(LibraryError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"A book can be in at most {limit} categories.")
