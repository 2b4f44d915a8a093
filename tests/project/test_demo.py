from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qsl

import pytest

from project.dev.browser import Browser, UnexpectedPage
from project.dev.effects import Effect, wait_for

PAGE = b"""<form action="/search"><input name="q"></form>
<form method="post"><input type="hidden" name="token" value="t">
<input name="title" value="Old"><textarea name="text">
Kept</textarea><input type="checkbox" name="ticked" checked><input type="checkbox" name="open">
<select name="kind"><option value="1">One<option value="2" selected>Two</select>
<input type="file" name="cover">
<button name="save">Save</button></form>"""


@pytest.fixture
def sent() -> list[tuple[str, str]]:
    """The fields that the site got with the last POST."""
    return []


@pytest.fixture
def browser(sent: list[tuple[str, str]]) -> Iterator[Browser]:
    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            sent[:] = parse_qsl(body, keep_blank_values=True)
            self.send_response(409)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Site) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        browser = Browser(f"http://127.0.0.1:{server.server_port}/")
        yield browser
        browser.close()
        server.shutdown()


def test_browser__sends_a_form_as_it_stands_but_for_what_is_filled_in(
    browser: Browser, sent: list[tuple[str, str]]
) -> None:
    page = browser.open("/")

    browser.submit(page, page.form(""), title="New", open=["a", "b"], expect=409)

    assert sorted(sent) == [
        ("kind", "2"),
        ("open", "a"),
        ("open", "b"),
        ("text", "Kept"),
        ("ticked", "on"),
        ("title", "New"),
        ("token", "t"),
    ]


def test_browser__field_that_the_form_lacks_is_an_error(browser: Browser) -> None:
    page = browser.open("/")

    with pytest.raises(UnexpectedPage, match="has no field author"):
        browser.submit(page, page.form(""), author="Nobody")


def test_browser__form_that_the_page_lacks_is_an_error(browser: Browser) -> None:
    with pytest.raises(UnexpectedPage, match="has no form for “/delete/”"):
        browser.open("/").form("/delete/")


def test_browser__other_status_than_expected_is_an_error(browser: Browser) -> None:
    with pytest.raises(UnexpectedPage, match="answered 200, not 404"):
        browser.open("/", expect=404)


@pytest.mark.parametrize(
    ("found", "wanted", "complaint"),
    [
        (1, 1, ""),
        (0, 1, "missing: mail (found 0, wanted 1)"),
        (2, 1, "duplicated: mail (found 2, wanted 1)"),
        (1, 0, "not gone: mail (found 1, wanted 0)"),
    ],
)
def test_effect__complains_unless_it_came_exactly_as_often_as_wanted(
    found: int, wanted: int, complaint: str
) -> None:
    assert Effect("mail", lambda: found, wanted).complaint == complaint


def test_effects__are_waited_for() -> None:
    counts = iter([0, 0, 1])
    late = Effect("late", lambda: next(counts))

    wait_for([late], seconds=10)

    assert list(counts) == []
