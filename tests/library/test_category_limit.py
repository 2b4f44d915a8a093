from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from library.exceptions import TooManyCategoriesError
from library.forms import BookForm
from library.models import Book, Category

MakeBook = Callable[..., Book]


@pytest.fixture
def categories(db: None, settings: Any) -> list[Category]:
    settings.LIBRARY = {"CATEGORIES_PER_BOOK": 2}
    return [Category.objects.create(name=name) for name in ("One", "Two", "Three")]


def test_pre_add__refuses_more_than_the_limit(make_book: MakeBook, categories: list[Category]) -> None:
    book = make_book()
    with pytest.raises(TooManyCategoriesError, match="at most 2 categories"), transaction.atomic():
        book.categories.set(categories)
    assert not book.categories.exists()


def test_pre_add__counts_what_is_there(make_book: MakeBook, categories: list[Category]) -> None:
    book = make_book()
    book.categories.add(*categories[:2])
    book.categories.add(categories[0])  # there already: nothing is added
    with pytest.raises(TooManyCategoriesError), transaction.atomic():
        book.categories.add(categories[2])
    assert book.categories.count() == 2


def test_pre_add__replacing_within_the_limit_is_fine(make_book: MakeBook, categories: list[Category]) -> None:
    book = make_book()
    book.categories.set(categories[:2])
    book.categories.set(categories[1:])
    assert set(book.categories.all()) == set(categories[1:])


def test_pre_add__holds_from_the_other_side(make_book: MakeBook, categories: list[Category]) -> None:
    full, empty = make_book("Full"), make_book("Empty")
    full.categories.set(categories[:2])
    with pytest.raises(TooManyCategoriesError), transaction.atomic():
        categories[2].books.add(full, empty)
    categories[2].books.add(empty)
    assert empty.categories.get() == categories[2]


def test_form__says_it_before_the_signal_has_to(categories: list[Category]) -> None:
    data = {"title": "T", "author": "A", "categories": [category.pk for category in categories]}
    form = BookForm(data)
    assert form.errors == {"categories": ["A book can be in at most 2 categories."]}
