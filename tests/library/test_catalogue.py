from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from library.models import Book, Category, Reading

pytestmark = pytest.mark.django_db
MakeBook = Callable[..., Book]
CATALOGUE = reverse("library:catalogue")


def titles(client: Client, **query: str) -> list[str]:
    return [book.title for book in client.get(CATALOGUE, query).context["page"]]


def test_catalogue__featured_first_then_by_title(client: Client, make_book: MakeBook) -> None:
    for title, featured in (("B", False), ("C", True), ("A", False)):
        make_book(title, is_featured=featured)
    assert titles(client) == ["C", "A", "B"]


def test_catalogue__uses_its_templates(
    client: Client, make_book: MakeBook, rendered: Callable[[], list[str]]
) -> None:
    make_book()
    client.get(CATALOGUE)
    names = rendered()
    assert names[:2] == ["library/catalogue.html", "library/base.html"]
    assert "library/parts/card.html" in names
    assert "library/book.html" not in names


def test_catalogue__empty_invites_to_add_a_book(client: Client) -> None:
    assert "The shelves are empty." in client.get(CATALOGUE).text


@pytest.mark.parametrize("words", ["quiet", "RIVER", "petrov", "otters", "river petrov"])
def test_search__finds_in_title_author_and_description(
    client: Client, make_book: MakeBook, words: str
) -> None:
    make_book("The Quiet River", description="About otters.")
    make_book("Snow", author="Hugo Quill")
    assert titles(client, q=words) == ["The Quiet River"]


def test_search__needs_every_word(client: Client, make_book: MakeBook) -> None:
    make_book("The Quiet River")
    assert titles(client, q="quiet mountain") == []


def test_search__says_when_nothing_is_found(client: Client, make_book: MakeBook) -> None:
    make_book()
    assert "No book here with “nothing such”." in client.get(CATALOGUE, {"q": "nothing such"}).text


@pytest.mark.parametrize("words", ["\x00", "x" * 101])
def test_search__what_no_database_takes_is_explained(client: Client, make_book: MakeBook, words: str) -> None:
    make_book()
    response = client.get(CATALOGUE, {"q": words})
    assert response.status_code == 200
    assert 'role="alert"' in response.text


def test_search__text_is_escaped(client: Client) -> None:
    assert "<b>" not in client.get(CATALOGUE, {"q": '"><b>'}).text


def test_category__filters_together_with_the_search(client: Client, make_book: MakeBook) -> None:
    poetry = Category.objects.create(name="Poetry")
    make_book("Rain at Night").categories.add(poetry)
    make_book("Snow").categories.add(poetry)
    make_book("Rain Dogs")
    assert titles(client, category="poetry") == ["Rain at Night", "Snow"]
    assert titles(client, category="poetry", q="rain") == ["Rain at Night"]


@pytest.mark.parametrize("category", ["no-such", "not a slug!", "\x00"])
def test_category__that_does_not_exist_shows_all(client: Client, make_book: MakeBook, category: str) -> None:
    make_book("Rain")
    assert titles(client, category=category) == ["Rain"]


def test_pages__keep_search_and_category(client: Client, make_book: MakeBook, settings: Any) -> None:
    settings.LIBRARY = {"BOOKS_PER_PAGE": 2}
    for number in range(5):
        make_book(f"Rain {number}")
    response = client.get(CATALOGUE, {"q": "rain", "page": "2"})
    assert [book.title for book in response.context["page"]] == ["Rain 2", "Rain 3"]
    assert 'href="?q=rain&amp;page=1"' in response.text
    assert 'href="?q=rain&amp;page=3"' in response.text
    assert "Page 2 of 3" in response.text


@pytest.mark.parametrize("page", ["0", "-1", "99", "x", "\x00"])
def test_pages__one_that_does_not_exist_shows_one_that_does(
    client: Client, make_book: MakeBook, page: str
) -> None:
    make_book("Rain")
    assert titles(client, page=page) == ["Rain"]


def test_catalogue__takes_as_many_queries_for_many_books(
    client: Client, make_book: MakeBook, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        make_book(f"Rain {number}")
    with django_assert_num_queries(3):  # categories, count, books
        client.get(CATALOGUE)


def test_book__shows_what_there_is_to_know(client: Client, make_book: MakeBook, reader: Any) -> None:
    book = make_book("Rain", author="Ines", description="Wet.\n\nVery.", added_by=reader)
    book.categories.add(Category.objects.create(name="Poetry"))
    Reading.objects.create(user=reader, book=book)
    text = client.get(book.get_absolute_url()).text
    for part in (
        "<h1>Rain</h1>",
        "by Ines",
        "<p>Very.</p>",
        "?category=poetry",
        "Read by 1 reader ·",
        "by rosa",
    ):
        assert part in text


def test_book__text_of_readers_is_escaped(client: Client, make_book: MakeBook) -> None:
    book = make_book("<script>1</script>", author="<b>", description="<img src=x>")
    text = client.get(book.get_absolute_url()).text
    assert "<script>" not in text
    assert "<b>" not in text
    assert "<img src=x" not in text


def test_book__without_cover_has_a_drawn_one(client: Client, make_book: MakeBook) -> None:
    assert f'class="cover drawn tone-{make_book().tone}"' in client.get(CATALOGUE).text


def test_book__unknown_is_not_found_on_a_page_of_ours(client: Client) -> None:
    response = client.get(reverse("library:book", args=["no-such"]))
    assert (response.status_code, "To the catalogue" in response.text) == (404, True)
