from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from library.models import Book, Profile, Reading, Recommendation
from library.services import read_book
from library.signals import book_read

pytestmark = pytest.mark.django_db
MakeBook = Callable[..., Book]
SHELF = reverse("library:shelf")


def read_url(book: Book) -> str:
    return reverse("library:book_read", args=[book.slug])


def test_read_book__records_a_reading_and_emits_book_read(
    reader: User, make_book: MakeBook, heard: Any
) -> None:
    book = make_book()
    with heard(book_read) as calls:
        assert read_book(reader, book) is True
    assert [(call["sender"], call["user"], call["book"]) for call in calls] == [(Book, reader, book)]
    assert Reading.objects.get().book == book


def test_read_book__again_is_no_news(reader: User, make_book: MakeBook, heard: Any) -> None:
    book = make_book()
    read_book(reader, book)
    with heard(book_read) as calls:
        assert read_book(reader, book) is False
    assert not calls
    assert Reading.objects.count() == 1


def test_read_book__a_receiver_that_fails_takes_the_reading_along(reader: User, make_book: MakeBook) -> None:
    book = make_book()

    def fail(**kwargs: Any) -> None:
        raise RuntimeError("in process, so part of the same story")

    book_read.connect(fail)
    try:
        with pytest.raises(RuntimeError):
            read_book(reader, book)
    finally:
        book_read.disconnect(fail)
    assert not Reading.objects.exists()


def test_read__puts_the_book_on_the_shelf(reader_client: Client, make_book: MakeBook) -> None:
    book = make_book("Rain")
    response = reader_client.post(read_url(book), follow=True)
    assert response.redirect_chain == [("/book/rain/", 302)]
    assert "“Rain” is on your shelf." in response.text
    assert "✓ On your shelf" in response.text
    assert "Rain" in reader_client.get(SHELF).text
    assert "was on your shelf already" in reader_client.post(read_url(book), follow=True).text


def test_read__by_get_changes_nothing(reader_client: Client, make_book: MakeBook) -> None:
    assert reader_client.get(read_url(make_book())).status_code == 405
    assert not Reading.objects.exists()


def test_read__a_stranger_logs_in_and_comes_back_to_the_book(client: Client, make_book: MakeBook) -> None:
    response = client.post(read_url(make_book("Rain")))
    assert response.headers["Location"] == "/accounts/login/?next=/book/rain/"


def test_read__a_book_that_does_not_exist_is_not_found(reader_client: Client) -> None:
    assert reader_client.post(reverse("library:book_read", args=["no-such"])).status_code == 404


def test_shelf__shows_recommendations_best_first_without_what_was_read(
    reader_client: Client, reader: User, make_book: MakeBook
) -> None:
    books = {title: make_book(title) for title in ("Good", "Better", "Read")}
    for title, score in (("Good", 1.5), ("Better", 2.5), ("Read", 9)):
        Recommendation.objects.create(
            user=reader, book=books[title], score=score, reason=f"because of {title}"
        )
    Reading.objects.create(user=reader, book=books["Read"])
    response = reader_client.get(SHELF)
    assert [each.book.title for each in response.context["recommendations"]] == ["Better", "Good"]
    assert "because of Better" in response.text
    assert "because of Read" not in response.text


def test_shelf__counts_what_the_profile_counts(reader_client: Client, reader: User) -> None:
    assert "0 books read" in reader_client.get(SHELF).text
    Profile.objects.get(user=reader).increment_books_read()
    assert "1 book read" in reader_client.get(SHELF).text


def test_shelf__without_a_profile_still_opens(reader_client: Client) -> None:
    Profile.objects.all().delete()
    assert "0 books read" in reader_client.get(SHELF).text


def test_shelf__is_ones_own(reader_client: Client, make_book: MakeBook, admin_user: User) -> None:
    Reading.objects.create(user=admin_user, book=make_book("Secret"))
    assert "Secret" not in reader_client.get(SHELF).text
