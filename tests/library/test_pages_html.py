"""What holds for every page: nothing inline, nothing from elsewhere, a label for everything one can fill in."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from library.models import Book, Category
from tests.library.conftest import picture

pytestmark = pytest.mark.django_db


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in names]


@pytest.fixture
def pages(make_book: Callable[..., Book], reader: User, reader_client: Client) -> dict[str, Page]:
    book = make_book(added_by=reader, cover=picture())
    book.categories.add(Category.objects.create(name="Poetry"))
    stranger = Client(raise_request_exception=False)
    got = {
        name: reader_client.get(reverse(f"library:{name}", args=[book.slug] if needs else []))
        for name, needs in (
            ("catalogue", 0),
            ("shelf", 0),
            ("book", 1),
            ("book_add", 0),
            ("book_edit", 1),
            ("book_delete", 1),
        )
    }
    got["errors"] = reader_client.post(reverse("library:book_add"), {"cover": picture("x.exe")})
    got["register"] = stranger.post(reverse("library:register"), {})
    got["login"] = stranger.post(reverse("login"), {})
    got["missing"] = stranger.get("/nothing/")
    return {name: Page(response.text) for name, response in got.items()}


def test_pages__hold_no_inline_script_or_style(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        # A script that comes by its address is none.
        assert not page.all("style"), name
        assert all(script.get("src") for script in page.all("script")), name
        handlers = [key for _, attrs in page.tags for key in attrs if key == "style" or key.startswith("on")]
        assert not handlers, name


def test_pages__load_nothing_from_elsewhere(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        addresses = [
            attrs.get("src") or attrs.get("href") or ""
            for attrs in page.all("img", "link", "script", "source")
        ]
        assert addresses, name
        assert all(re.match(r"/(static|media)/", address) for address in addresses), name


def test_pages__every_field_has_a_label(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        labelled = {attrs.get("for") for attrs in page.all("label")}
        fields = [
            f for f in page.all("input", "textarea", "select") if f.get("type") not in {"hidden", "checkbox"}
        ]
        assert {field["id"] for field in fields} <= labelled, name


def test_pages__every_picture_says_what_it_is_or_that_it_is_decoration(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert all("alt" in attrs for attrs in page.all("img")), name


def test_pages__ids_are_unique_and_what_is_described_exists(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(ids) == len(set(ids)), name
        described = {ref for _, attrs in page.tags for ref in (attrs.get("aria-describedby") or "").split()}
        linked = {attrs["href"][1:] for attrs in page.all("a") if (attrs.get("href") or "").startswith("#")}
        assert described | linked <= set(ids), name


def test_pages__have_one_heading_a_skip_link_and_a_language(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert len(page.all("h1")) == 1, name
        assert page.all("html")[0]["lang"] == "en", name
        assert page.all("a")[0] == {"class": "skip", "href": "#content"}, name


def test_errors__are_tied_to_their_fields(pages: dict[str, Page]) -> None:
    by_name = {attrs["name"]: attrs for attrs in pages["errors"].all("input") if "name" in attrs}
    for name in ("title", "author", "cover"):
        assert by_name[name]["aria-invalid"] == "true"
        assert f"id_{name}_error" in (by_name[name]["aria-describedby"] or "")
