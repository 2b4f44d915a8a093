"""A site, its workers and Chromium: each a process of its own, on the test's database and broker."""

from __future__ import annotations

import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Response,
    sync_playwright,
)

from project.dev.ports import free_port
from tests.processes.conftest import (  # noqa: F401 -- fixtures
    Process,
    Start,
    clean_broker,
    start_worker,
    wait_for,
)

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# Milliseconds after which a page that doesn't answer has failed. It decides nothing else.
_PATIENCE = 60_000

# Chromium breaks off what it loads when any address of the machine changes, though the loopback's doesn't.
_DISTURBED = "ERR_NETWORK_CHANGED"

QUEUES = ",".join(django_settings.EVENTS["QUEUES"])

LogIn = Callable[..., User]
Open = Callable[..., Page]


@pytest.fixture
def browser() -> Iterator[Browser]:
    """The system's Chromium. A machine without one skips; CI must have it.

    For one test: as long as it is there, Playwright keeps an event loop running in this thread, and no other test
    could run one of its own.
    """
    path = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if path is None:
        reason = "no Chromium on PATH (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # Django would refuse to ask the database beside that loop.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield chromium
        chromium.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    else:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


class Site(Process):
    """The project in gunicorn, as `make run` has it."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = ["-k", "gthread", "-w", "1", "--threads", "4", "-t", "300", "--no-control-socket"]
        super().__init__(env, log, "-m", "gunicorn", *options, "-b", f"127.0.0.1:{port}", "project.wsgi")

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/accounts/login/"):  # noqa: S310 - on loopback
                return True
        except OSError:
            return False


@pytest.fixture
def site(process_env: dict[str, str], tmp_path: Path) -> Iterator[Site]:
    log = tmp_path / "site.log"
    running = Site(process_env | {"DJANGO_SETTINGS_MODULE": "tests.browser.settings"}, log)
    try:
        wait_for(running.answers, "the site", log=log)
        yield running
    finally:
        running.kill()
        connection.close()


@pytest.fixture
def start_workers(start_worker: Start) -> Callable[[], object]:  # noqa: F811 -- the fixture imported above
    """Of all the project's queues, with a relay."""
    return lambda: start_worker("-Q", QUEUES)


@pytest.fixture
def staff(transactional_db: None) -> LogIn:
    """`staff("view_queue", …)`: a new member of staff who may do that; "everything": a superuser."""

    def make(*codenames: str) -> User:
        name = f"staff{User.objects.count()}"
        if codenames == ("everything",):
            return User.objects.create_superuser(name, password="x")
        user = User.objects.create_user(name, password="x", is_staff=True)
        rights = Permission.objects.filter(content_type__app_label="offload", codename__in=codenames)
        assert {right.codename for right in rights} == set(codenames)
        user.user_permissions.set(rights)
        return user

    return make


class Opener:
    """Pages in browsers of their own, and what any of them wrote to its console as an error."""

    def __init__(self, browser: Browser, site: Site) -> None:
        self.errors: list[str] = []
        self._disturbed: list[str] = []
        self._browser = browser
        self._site = site
        self._contexts: list[BrowserContext] = []

    def __call__(self, path: str, user: User | None = None, status: int = 200, **options: Any) -> Page:
        context = self._browser.new_context(**options)
        self._contexts.append(context)
        context.set_default_timeout(_PATIENCE)
        # A browser asks for it by itself; Django's admin has none.
        context.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        if user is not None:
            context.add_cookies([self._session(user)])
        page = context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        response = self._undisturbed(page, f"{self._site.url}{path}")
        assert response.status == status, self._site.log.read_text()[-3000:]
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _session(self, user: User) -> Any:
        client = Client()
        client.force_login(user)
        name = django_settings.SESSION_COOKIE_NAME
        return {"name": name, "value": client.cookies[name].value, "url": self._site.url}

    def _note(self, message: ConsoleMessage) -> None:
        if _DISTURBED in message.text:
            self._disturbed.append(message.text)
        elif message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _undisturbed(self, page: Page, url: str) -> Response:
        while True:
            self._disturbed.clear()
            try:
                response = page.goto(url)
            except Error as error:
                if _DISTURBED not in error.message:
                    raise
            else:
                if not self._disturbed:
                    assert response is not None
                    return response


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Opener]:
    """`open_page(path, user, status, **context)`: a page of the site in a browser of its own, logged in as that user.

    At the end, what any of them wrote to its console as an error fails the test.
    """
    opener = Opener(browser, site)
    yield opener
    opener.close()
    assert opener.errors == []
