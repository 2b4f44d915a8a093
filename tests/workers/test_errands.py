"""What a reader is told of what the workers do about an action."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from events.fast_path import fast_path
from events.models import Delivery, State
from events.registry import registry
from events.testing import drain
from library import errands as tokens
from library.models import Book
from workers.errands import WORDS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_worker_takes_it() -> Iterator[None]:
    with fast_path.suspended():
        yield


@pytest.fixture
def client_of_rosa(client: Client) -> Client:
    client.force_login(User.objects.create_user("rosa", "rosa@example.org"))
    return client


def read(client: Client, book: Book) -> str:
    """The address at which the page asks what became of it."""
    page = client.post(reverse("library:book_read", args=[book.slug]), follow=True).content.decode()
    found = re.search('data-errands="([^"]+)"', page)
    assert found, page
    return html.unescape(found[1])


@pytest.fixture
def book() -> Book:
    book = Book.objects.create(title="Emma", author="Jane Austen")
    drain()
    return book


def told(client: Client, address: str) -> tuple[dict[str, str], bool]:
    answer: dict[str, Any] = client.get(address).json()
    return {each["text"]: each["progress"] for each in answer["errands"]}, answer["finished"]


def test_reading__working_then_done(client_of_rosa: Client, book: Book) -> None:
    address = read(client_of_rosa, book)
    assert told(client_of_rosa, address) == (
        {"Counting the book": "working", "Choosing what else may please you": "working"},
        False,
    )
    drain()
    assert told(client_of_rosa, address) == ({"Book counted": "done", "Shelf updated": "done"}, True)


def test_dead_letter__is_said(client_of_rosa: Client, book: Book) -> None:
    address = read(client_of_rosa, book)
    drain()
    Delivery.objects.filter(receiver__endswith="count_read_book").update(state=State.DEAD)
    found, finished = told(client_of_rosa, address)
    assert found["Counting the book: this did not work out, and we were told"] == "failed"
    assert finished


def test_another_request_of_the_same_reader__is_told_apart(client_of_rosa: Client, book: Book) -> None:
    first = read(client_of_rosa, book)
    drain()
    other = Book.objects.create(title="Persuasion", author="Jane Austen")
    second = read(client_of_rosa, other)
    assert told(client_of_rosa, first)[1]
    assert not told(client_of_rosa, second)[1]


def test_token_of_somebody_else__finds_nothing(client: Client) -> None:
    for token in ("-", "forged", signing.dumps("00" * 16, salt="another")):
        assert client.get(reverse("workers:errands", args=[token])).status_code == 404


def test_token__is_good_for_a_while(
    client_of_rosa: Client, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = read(client_of_rosa, book)
    monkeypatch.setattr(tokens, "MAX_AGE", -1)
    assert client_of_rosa.get(address).status_code == 404


def test_question__two_queries(
    client: Client, client_of_rosa: Client, book: Book, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    address = read(client_of_rosa, book)
    with django_assert_num_queries(2):
        Client().get(address)


def test_words__are_of_receivers_that_there_are() -> None:
    assert all(name in registry for name in WORDS)
