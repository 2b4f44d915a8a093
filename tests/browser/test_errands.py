"""After an action the reader sees what real workers did about it, without loading the page again."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import expect

from library.models import Book
from tests.browser.conftest import Open
from tests.browser.looking import PHONE, faults, screenshot, sticks_out


def test_reading_a_book__the_page_says_when_the_shelf_is_updated(
    open_page: Open, start_workers: Callable[[], object]
) -> None:
    book = Book.objects.create(title="Emma", author="Jane Austen")
    start_workers()
    page = open_page(book.get_absolute_url(), User.objects.create_user("rosa"), viewport=PHONE)
    # With the keyboard alone.
    page.get_by_role("button", name="read").focus()
    page.keyboard.press("Enter")
    said = page.get_by_role("status")
    expect(said.get_by_text("Shelf updated")).to_be_visible()
    expect(said.get_by_text("Book counted")).to_be_visible()
    assert faults(page) == []
    assert sticks_out(page) == 0
    screenshot(page, "site-errands")


def test_registering__the_page_says_when_the_mail_is_sent(
    open_page: Open, start_workers: Callable[[], object]
) -> None:
    start_workers()
    page = open_page(reverse("library:register"))
    page.get_by_label("Username").fill("rosa")
    page.get_by_label("E-mail address").fill("rosa@example.org")
    page.get_by_label("Password", exact=True).fill("a-long-password-77")
    page.get_by_label("Password confirmation").fill("a-long-password-77")
    page.get_by_role("button", name="Make my account").click()
    expect(page.get_by_role("status").get_by_text("Welcome mail sent")).to_be_visible()
