from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.test.signals import template_rendered
from django.urls import get_resolver, reverse

from library.models import Book, Category
from library.views.atomic import atomic_when_writing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def was_atomic() -> Any:
    """Whether a transaction was open, at each template rendered."""
    seen: list[bool] = []

    def look(**kwargs: Any) -> None:
        seen.append(connection.in_atomic_block)

    template_rendered.connect(look)
    yield seen
    template_rendered.disconnect(look)


def test_get__every_page_is_made_outside_a_transaction(
    reader_client: Client, make_book: Callable[..., Book], reader: Any, was_atomic: list[bool]
) -> None:
    assert connection.settings_dict["ATOMIC_REQUESTS"] is True
    slug = make_book(added_by=reader).slug
    for name in ("catalogue", "shelf", "book_add"):
        reader_client.get(reverse(f"library:{name}"))
    for name in ("book", "book_edit", "book_delete"):
        reader_client.get(reverse(f"library:{name}", args=[slug]))
    Client().get(reverse("library:register"))
    assert was_atomic
    assert not any(was_atomic)


def test_post__a_form_is_taken_inside_a_transaction(reader_client: Client, was_atomic: list[bool]) -> None:
    reader_client.post(reverse("library:book_add"), {"title": ""})
    assert was_atomic
    assert all(was_atomic)


def test_post__what_fails_half_way_leaves_nothing() -> None:
    @atomic_when_writing
    def view(request: HttpRequest) -> HttpResponse:
        Category.objects.create(name="half done")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        view(RequestFactory().post("/"))
    assert not Category.objects.exists()


def test_views__each_either_is_atomic_or_says_that_it_is_not() -> None:
    """Reading `book_read` takes only POST; all others answer a GET and may not hold a writer's lock for it."""
    views = {pattern.name: pattern.callback for pattern in get_resolver("library.urls").url_patterns}
    outside = {name for name, view in views.items() if "default" in getattr(view, "_non_atomic_requests", ())}
    assert set(views) - outside == {"book_read"}
