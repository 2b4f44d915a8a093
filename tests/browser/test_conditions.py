"""What the other tests here rely on: a page opens, its assets come, and an inline script is refused."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import Browser

from tests.browser.conftest import LogIn, Open, Site
from tests.browser.looking import faults, sticks_out


def test_admin__opens_with_its_styles_and_nothing_inline(open_page: Open, staff: LogIn) -> None:
    page = open_page(reverse("admin:index"), staff("view_queue"))
    assert page.get_by_role("link", name="Queues").first.is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('#header')).backgroundColor") == (
        "rgb(65, 118, 144)"
    )
    assert faults(page) == []
    assert sticks_out(page) == 0


def test_inline_script__is_refused(browser: Browser, site: Site) -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{site.url}/accounts/login/")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'ran = 1'}))"
    )
    assert page.evaluate("typeof ran") == "undefined"
    assert any("Content Security Policy" in line for line in said)
    page.close()
