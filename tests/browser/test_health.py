"""The health page, with what real workers did."""

from __future__ import annotations

import os
import re
import signal

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from events.models import Delivery, State
from project.dev.broker import Broker
from tests.browser.conftest import QUEUES, LogIn, Open
from tests.browser.doing import busy_library, worked_off
from tests.browser.looking import PHONE, faults, screenshot, sticks_out
from tests.processes.conftest import Start, wait_for

HEALTH = reverse("admin:offload_minute_changelist")
# Milliseconds after which a page that doesn't refresh has failed.
PATIENCE = 120_000


@pytest.fixture
def library_at_work(start_worker: Start) -> int:
    """All is done, but for the mails: their server is away. How many deliveries are done."""
    start_worker("-Q", QUEUES, EMAIL_URL="smtp://127.0.0.1:1")
    busy_library()
    wait_for(lambda: Delivery.objects.filter(state=State.WAITING, tries__gt=0).exists(), "a retry")
    worked_off()
    return Delivery.objects.filter(state=State.DONE).count()


def card(page: Page, name: str) -> str:
    box = page.locator(".events-card").filter(has=page.get_by_text(name, exact=True))
    return box.locator(".events-value").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_health__shows_what_the_workers_did(
    library_at_work: int, open_page: Open, staff: LogIn, scheme: str
) -> None:
    page = open_page(
        HEALTH,
        staff("view_minute", "view_delivery"),
        color_scheme=scheme,
        viewport={"width": 1500, "height": 1000},
    )
    assert library_at_work > 40
    # Nothing of it is older; the log-in may have been counted since.
    assert int(card(page, "Last hour").replace(",", "")) >= library_at_work
    assert int(card(page, "Failing now")) > 0
    assert card(page, "Workers") == "1"
    expect(page.get_by_text("Broker reachable since")).to_be_visible()
    expect(page.get_by_text("Database reachable since")).to_be_visible()
    expect(page.get_by_text("Breaker closed")).to_be_visible()
    assert page.locator(".events-chart rect").count() > 0
    row = page.locator("tr", has=page.get_by_role("link", name="recommendations", exact=True))
    assert re.search(r"\d.* / .*\d.* / .*\d.* m?s\b", row.inner_text())
    assert page.locator(".events-spark polyline").count() >= 6
    mail = page.locator("tr", has_text="send welcome email")
    assert "100%" in mail.inner_text()
    screenshot(page, f"health-{scheme}")
    assert faults(page) == []
    assert sticks_out(page) == 0
    # Beside the admin's own column, too.
    for width in (1200, 1050):
        page.set_viewport_size({"width": width, "height": 1000})
        assert sticks_out(page) == 0, width


def test_health__refreshes_by_itself_until_it_is_paused(
    library_at_work: int, open_page: Open, staff: LogIn
) -> None:
    page = open_page(HEALTH, staff("view_minute"))
    first = page.locator("time").get_attribute("datetime")
    assert first is not None
    expect(page.locator("time")).not_to_have_attribute("datetime", first, timeout=PATIENCE)
    # By keyboard alone.
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Resume")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("status")).to_have_text("Paused.")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    # Longer than between two refreshes.
    page.wait_for_timeout(6_000)
    assert asked == []
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    paused_at = page.locator("time").get_attribute("datetime")
    expect(page.locator("time")).not_to_have_attribute("datetime", paused_at or "", timeout=PATIENCE)


def test_health__on_a_phone(library_at_work: int, open_page: Open, staff: LogIn) -> None:
    page = open_page(HEALTH, staff("view_minute"), viewport=PHONE, has_touch=True, is_mobile=True)
    assert sticks_out(page) == 0
    assert faults(page) == []
    screenshot(page, "health-phone")


def test_health__broker_is_away__says_so_and_since_when(
    broker: Broker, open_page: Open, staff: LogIn
) -> None:
    page = open_page(HEALTH, staff("view_minute"))
    expect(page.get_by_text("Broker reachable since")).to_be_visible(timeout=PATIENCE)
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        expect(page.get_by_text("Broker not reachable since")).to_be_visible(timeout=PATIENCE)
        screenshot(page, "health-broker-frozen")
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    expect(page.get_by_text("Broker reachable since")).to_be_visible(timeout=PATIENCE)
