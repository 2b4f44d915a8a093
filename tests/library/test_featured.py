from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse

from library import services
from library.exceptions import FeaturedBookError
from library.models import Book

MakeBook = Callable[..., Book]


@pytest.fixture
def featured(make_book: MakeBook, reader: User) -> Book:
    return make_book("Star", is_featured=True, added_by=reader)


def test_featured__refused_however_it_is_deleted(featured: Book) -> None:
    for delete in (featured.delete, Book.objects.all().delete, lambda: services.delete_book(featured)):
        refused = pytest.raises(FeaturedBookError, match="“Star” is a featured book and can't be deleted")
        with refused, transaction.atomic():
            delete()
    assert Book.objects.filter(pk=featured.pk).exists()


def test_featured__one_among_many_keeps_all(featured: Book, make_book: MakeBook) -> None:
    make_book("Plain")
    with pytest.raises(FeaturedBookError), transaction.atomic():
        Book.objects.all().delete()
    assert Book.objects.count() == 2


def test_featured__since_it_was_loaded_is_refused_too(make_book: MakeBook) -> None:
    book = make_book()
    Book.objects.filter(pk=book.pk).update(is_featured=True)
    with pytest.raises(FeaturedBookError):
        book.delete()


def test_featured__no_longer_is_deleted(featured: Book) -> None:
    Book.objects.filter(pk=featured.pk).update(is_featured=False)
    services.delete_book(featured)
    assert not Book.objects.exists()


def test_featured__the_page_offers_no_button_and_says_why(featured: Book, reader_client: Client) -> None:
    page = reader_client.get(reverse("library:book_delete", args=[featured.slug])).text
    assert "is a featured book and can&#x27;t be deleted" in page
    assert "Delete it" not in page


def test_featured__posting_anyway_is_a_conflict_with_the_reason(
    featured: Book, reader_client: Client
) -> None:
    response = reader_client.post(reverse("library:book_delete", args=[featured.slug]))
    assert response.status_code == 409
    assert "Take it off the featured list first." in response.text
    assert Book.objects.filter(pk=featured.pk).exists()


def test_featured__refused_in_the_admin_page(featured: Book, admin_client: Client) -> None:
    url = reverse("admin:library_book_delete", args=[featured.pk])
    assert "is a featured book" in admin_client.get(url).text
    admin_client.post(url, {"post": "yes"})
    assert Book.objects.filter(pk=featured.pk).exists()


def test_featured__refused_in_the_admin_action(
    featured: Book, make_book: MakeBook, admin_client: Client
) -> None:
    plain = make_book("Plain")
    data = {"action": "delete_selected", "_selected_action": [featured.pk, plain.pk], "post": "yes"}
    response = admin_client.post(reverse("admin:library_book_changelist"), data)
    assert "is a featured book" in response.text
    assert Book.objects.count() == 2


def test_featured__the_admin_deletes_others(make_book: MakeBook, admin_client: Client) -> None:
    plain = make_book("Plain")
    admin_client.post(reverse("admin:library_book_delete", args=[plain.pk]), {"post": "yes"})
    assert not Book.objects.exists()


def test_delete_book__refused_leaves_the_transaction_of_the_request_usable(featured: Book) -> None:
    with transaction.atomic():
        with pytest.raises(FeaturedBookError):
            services.delete_book(featured)
        Book.objects.filter(pk=featured.pk).update(title="Still here")
    assert Book.objects.get().title == "Still here"
