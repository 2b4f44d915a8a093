"""A person's browser, as far as the demo needs one: cookies, pages, and forms filled in and sent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

SECONDS = 20  # for one page
NOT_SENT = {"submit", "button", "reset", "image", "file"}  # kinds of input a form doesn't send by itself

File = tuple[str, bytes, str]  # name, content, type


class UnexpectedPage(Exception):
    """The site answered with something else than the story expects."""


@dataclass(slots=True)
class Form:
    """A form as it stands in the page; `values` is what would be sent if nobody touched it."""

    action: str
    method: str
    fields: set[str] = field(default_factory=set)
    values: list[tuple[str, str]] = field(default_factory=list)


class FormParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select: str | None = None
        self._textarea: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "form":
            self._form = Form(given.get("action") or "", (given.get("method") or "get").lower())
            self.forms.append(self._form)
        if self._form is None:
            return
        if tag in {"input", "select", "textarea"} and name:
            self._form.fields.add(name)
        if tag == "input" and name and is_sent(given):
            self._form.values.append((name, given.get("value") or ("on" if "checked" in given else "")))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in given:
            self._form.values.append((self._select, given.get("value") or ""))
        elif tag == "textarea":
            self._textarea, self._text = name, ""

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea" and self._textarea is not None:
            if self._form is not None:
                # HTML drops the newline right after the tag.
                self._form.values.append((self._textarea, self._text.removeprefix("\n")))
            self._textarea = None


def is_sent(given: dict[str, str | None]) -> bool:
    kind = (given.get("type") or "text").lower()
    return kind not in NOT_SENT and (kind not in {"checkbox", "radio"} or "checked" in given)


@dataclass(slots=True)
class Page:
    url: str
    status: int
    text: str

    def form(self, action: str) -> Form:
        """The POST form whose action ends so; "" is a form that is sent back to its own page."""
        parser = FormParser()
        parser.feed(self.text)
        for form in parser.forms:
            if form.method == "post" and form.action.endswith(action) and bool(form.action) == bool(action):
                return form
        raise UnexpectedPage(f"{self.url} ({self.status}) has no form for “{action}”")


class Browser:
    """Follows redirects, keeps cookies, and takes any status but the expected one as an error."""

    def __init__(self, site: str) -> None:
        self.site = site
        self._session = requests.Session()
        # Not through a proxy of the machine: the site is at home here.
        self._session.trust_env = False

    def open(self, path: str, expect: int = 200) -> Page:
        return self._page(self._session.get(urljoin(self.site, path), timeout=SECONDS), expect)

    def submit(
        self,
        page: Page,
        form: Form,
        *,
        expect: int = 200,
        files: dict[str, File] | None = None,
        **filled: object,
    ) -> Page:
        """Send the form with these fields filled in; a list is several values, None is none."""
        if unknown := {*filled, *(files or {})} - form.fields:
            raise UnexpectedPage(f"the form at {page.url} has no field {', '.join(sorted(unknown))}")
        values = [(name, value) for name, value in form.values if name not in filled]
        for name, value in filled.items():
            chosen = value if isinstance(value, list) else [] if value is None else [value]
            values += [(name, str(one)) for one in chosen]
        answer = self._session.post(
            urljoin(page.url, form.action),
            data=values,
            files=files,
            headers={"Referer": page.url},
            timeout=SECONDS,
        )
        return self._page(answer, expect)

    def _page(self, answer: requests.Response, expect: int) -> Page:
        if answer.status_code != expect:
            title = re.search(r"<title>(.*?)</title>", answer.text, re.DOTALL)
            said = " ".join(title[1].split()) if title else answer.text[:200]
            raise UnexpectedPage(f"{answer.url} answered {answer.status_code}, not {expect}: {said}")
        return Page(answer.url, answer.status_code, answer.text)

    def close(self) -> None:
        self._session.close()
