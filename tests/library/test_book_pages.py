from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from library.models import Book, Category
from tests.library.conftest import picture

pytestmark = pytest.mark.django_db
MakeBook = Callable[..., Book]
ADD = reverse("library:book_add")


@pytest.fixture
def mine(make_book: MakeBook, reader: User) -> Book:
    return make_book("Rain", added_by=reader)


def url(name: str, book: Book) -> str:
    return reverse(f"library:book_{name}", args=[book.slug])


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_add__makes_a_book_with_cover_and_categories(reader_client: Client, reader: User) -> None:
    poetry = Category.objects.create(name="Poetry")
    data = {
        "title": "Rain",
        "author": "Ines",
        "description": "Wet.",
        "categories": [poetry.pk],
        "cover": picture(),
    }
    response = reader_client.post(ADD, data, follow=True)
    book = Book.objects.get()
    assert response.redirect_chain == [("/book/rain/", 302)]
    assert "“Rain” is in the catalogue now." in response.text
    assert (book.added_by, book.cover.name, book.categories.get()) == (reader, "covers/cover.png", poetry)
    assert book.cover.storage.exists("covers/cover.png")


def test_add_and_edit__spaces_in_title_and_author_are_collapsed(reader_client: Client) -> None:
    spaced = {"title": "  A   long  Rain ", "author": " Ines   Petrov "}
    reader_client.post(ADD, spaced)
    book = Book.objects.get()
    assert (book.title, book.author) == ("A long Rain", "Ines Petrov")
    reader_client.post(url("edit", book), {**spaced, "title": "A   short Rain"})
    book.refresh_from_db()
    assert book.title == "A short Rain"


def test_add__says_what_is_missing_and_keeps_what_was_typed(reader_client: Client) -> None:
    response = reader_client.post(ADD, {"author": "Ines", "title": " "})
    assert response.status_code == 422
    assert "Give the book a title." in response.text
    assert 'value="Ines"' in response.text
    assert not Book.objects.exists()


def test_add__an_empty_post_is_a_form_with_errors(reader_client: Client) -> None:
    assert reader_client.post(ADD).status_code == 422


def test_add__a_chosen_file_has_to_be_chosen_again(reader_client: Client) -> None:
    assert (
        "choose it again" in reader_client.post(ADD, {"title": "", "author": "Ines", "cover": picture()}).text
    )


def test_add__can_not_make_a_book_featured_or_somebody_elses(reader_client: Client, reader: User) -> None:
    data = {"title": "Rain", "author": "Ines", "is_featured": "on", "added_by": "1234", "slug": "mine"}
    reader_client.post(ADD, data)
    book = Book.objects.get()
    assert (book.is_featured, book.added_by, book.slug) == (False, reader, "rain")


@pytest.mark.parametrize("path", [ADD, "/book/rain/edit/", "/book/rain/delete/", "/shelf/"])
def test_pages__that_change_something_ask_to_log_in(client: Client, mine: Book, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/accounts/login/?next={path}"


def test_edit__changes_the_book_and_keeps_its_address(reader_client: Client, mine: Book) -> None:
    response = reader_client.post(url("edit", mine), {"title": "Snow", "author": "Ines"}, follow=True)
    mine.refresh_from_db()
    assert (mine.title, mine.slug) == ("Snow", "rain")
    assert "Saved." in response.text


def test_edit__says_what_became_of_the_cover(reader_client: Client, mine: Book) -> None:
    data = {"title": "Rain", "author": "Ines"}
    for change, message in (
        ({"cover": picture("first.png")}, "Saved, with its new cover."),
        ({"cover": picture("second.png")}, "Saved, and the cover replaced."),
        ({}, "Saved."),
        ({"cover-clear": "on"}, "Saved, and the cover removed."),
    ):
        assert message in reader_client.post(url("edit", mine), data | change, follow=True).text
    assert not Book.objects.get().cover


def test_edit__clearing_and_replacing_at_once_is_explained(reader_client: Client, mine: Book) -> None:
    reader_client.post(url("edit", mine), {"title": "Rain", "author": "Ines", "cover": picture("first.png")})
    data = {"title": "Rain", "author": "Ines", "cover": picture(), "cover-clear": "on"}
    response = reader_client.post(url("edit", mine), data)
    assert (response.status_code, Book.objects.get().cover.name) == (422, "covers/first.png")


def test_edit__an_error_shows_the_books_present_title_above(reader_client: Client, mine: Book) -> None:
    response = reader_client.post(url("edit", mine), {"title": "", "author": "Ines"})
    assert "<h1>Edit “Rain”</h1>" in response.text


@pytest.mark.parametrize("name", ["edit", "delete"])
def test_others__may_neither_edit_nor_delete(mine: Book, name: str) -> None:
    other = client_of(get_user_model().objects.create_user("other"))
    for response in (other.get(url(name, mine)), other.post(url(name, mine), {"title": "X", "author": "Y"})):
        assert response.status_code == 403
        assert "Only who added a book, and teachers, may" in response.text
    assert Book.objects.get().title == "Rain"
    assert "Edit" not in other.get(mine.get_absolute_url()).text


def test_teachers__may_edit_and_delete_every_book(mine: Book) -> None:
    teacher = get_user_model().objects.create_user("teacher")
    teacher.groups.add(Group.objects.get(name="Teachers"))
    client = client_of(teacher)
    client.post(url("edit", mine), {"title": "Snow", "author": "Ines"})
    assert Book.objects.get().title == "Snow"
    client.post(url("delete", mine))
    assert not Book.objects.exists()


def test_delete__asks_first_and_then_deletes(reader_client: Client, mine: Book) -> None:
    assert "Delete “Rain”?" in reader_client.get(url("delete", mine)).text
    assert Book.objects.exists()
    response = reader_client.post(url("delete", mine), follow=True)
    assert "“Rain” has left the catalogue." in response.text
    assert not Book.objects.exists()


def test_forms__refuse_a_post_without_the_csrf_token(reader: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(reader)
    assert client.post(ADD, {"title": "Rain", "author": "Ines"}).status_code == 403
