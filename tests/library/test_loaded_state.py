from __future__ import annotations

from collections.abc import Callable

from django.core.files.base import ContentFile
from pytest_django.fixtures import DjangoAssertNumQueries

from library.models import Book, CoverChange
from tests.library.conftest import picture

MakeBook = Callable[..., Book]


def test_pre_init__collapses_spaces_of_a_book_made_by_keyword() -> None:
    book = Book(title="  The   Quiet\tRiver ", author=" Ines  Petrov")
    assert (book.title, book.author) == ("The Quiet River", "Ines Petrov")


def test_pre_init__leaves_a_loaded_row_as_it_is(make_book: MakeBook) -> None:
    book = make_book()
    Book.objects.filter(pk=book.pk).update(title="two  spaces")
    assert Book.objects.get(pk=book.pk).title == "two  spaces"


def test_post_init__remembers_the_cover_a_book_was_loaded_with(make_book: MakeBook) -> None:
    book = Book.objects.get(pk=make_book(cover="covers/old.png").pk)
    book.cover = "covers/new.png"
    assert (book.loaded_cover, book.cover_change) == ("covers/old.png", CoverChange.REPLACED)


def test_post_init__costs_no_query_for_a_deferred_cover(
    make_book: MakeBook, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_book(cover="covers/old.png")
    with django_assert_num_queries(1):
        book = Book.objects.only("title").get()
        assert book.loaded_cover is None
        assert book.cover_change is CoverChange.KEPT


def test_cover_change__names_each_change(make_book: MakeBook) -> None:
    pk = make_book(cover="covers/old.png").pk
    kept, removed, replaced = (Book.objects.get(pk=pk) for _ in range(3))
    removed.cover = ""
    replaced.cover = picture("old.png")
    added = make_book("Another")
    added.cover = picture()
    changes = [book.cover_change for book in (kept, removed, replaced, added)]
    assert changes == [CoverChange.KEPT, CoverChange.REMOVED, CoverChange.REPLACED, CoverChange.ADDED]


def test_cover_change__of_a_new_book_with_a_cover_is_added() -> None:
    assert Book(title="New", cover="covers/new.png").cover_change is CoverChange.ADDED


def test_cover_change__after_saving_nothing_is_left_to_change(make_book: MakeBook) -> None:
    book = make_book()
    book.cover.save("new.png", ContentFile(picture().read()), save=True)
    assert book.cover_change is CoverChange.KEPT
    assert book.loaded_cover == book.cover.name


def test_cover_change__saving_another_field_keeps_what_was_loaded(make_book: MakeBook) -> None:
    book = make_book(cover="covers/old.png")
    book.cover = "covers/new.png"
    book.save(update_fields=["title"])
    assert book.cover_change is CoverChange.REPLACED


def test_cover_change__refreshing_takes_the_row_as_loaded(make_book: MakeBook) -> None:
    book = make_book(cover="covers/old.png")
    Book.objects.filter(pk=book.pk).update(cover="covers/newer.png")
    book.refresh_from_db()
    assert (book.loaded_cover, book.cover_change) == ("covers/newer.png", CoverChange.KEPT)
