"""What every page has to be: readable on a phone, usable by everybody, worth a look by a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).resolve().parents[2] / "var" / "screenshots"
PHONE = {"width": 390, "height": 844}
_SERIOUS = {"serious", "critical"}


def screenshot(page: Page, name: str) -> None:
    """The whole page, in var/screenshots, for a person to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def faults(page: Page) -> list[str]:
    """Serious faults of accessibility, in axe's words, each with where it is."""
    # Without a look into style sheets of its own: where one imports another, as the admin's of forms does, that is an
    # inline style, which the page's policy refuses aloud.
    found: dict[str, Any] = Axe().run(page, options={"preload": False}).response
    return [
        f"{fault['id']}: {fault['help']}: {node['target']}: {node.get('failureSummary', '')}"
        for fault in found["violations"]
        if fault["impact"] in _SERIOUS
        for node in fault["nodes"]
    ]


def sticks_out(page: Page) -> int:
    """By how many pixels the page is wider than the window: a person would have to scroll sideways."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width
