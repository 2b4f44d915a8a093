"""The flow map, with what real workers did."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.browser.conftest import LogIn, Open
from tests.browser.looking import PHONE, faults, screenshot, sticks_out
from tests.browser.test_health import PATIENCE, library_at_work  # noqa: F401 -- a fixture

FLOW = reverse("admin:offload_flowmap_changelist")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_flow_map__draws_who_sends_what_to_whom_and_what_fails(
    library_at_work: int,  # noqa: F811 -- the fixture imported above
    open_page: Open,
    staff: LogIn,
    scheme: str,
) -> None:
    page = open_page(
        FLOW, staff("view_flowmap"), color_scheme=scheme, viewport={"width": 1500, "height": 1000}
    )
    drawing = page.locator(".events-flow")
    for name in ("library.book_read", "workers.recommendations.count_read_book", "recommendations", "w0@"):
        assert drawing.locator("g", has_text=name).count() >= 1
    assert drawing.locator("path").count() > 20
    assert drawing.get_by_text("/min").count() > 5
    assert drawing.locator(".events-fails", has_text="100% failed").count() == 1
    screenshot(page, f"flow-map-{scheme}")
    assert faults(page) == []
    assert sticks_out(page) == 0


def test_flow_map__by_keyboard_from_a_box_to_what_its_receiver_does(open_page: Open, staff: LogIn) -> None:
    page = open_page(f"{FLOW}?all=1", staff("view_flowmap"))
    link = page.locator(".events-flow a", has_text="workers.audit.record_login").first
    link.focus()
    page.keyboard.press("Enter")
    section = page.locator("section:target")
    expect(section).to_contain_text("Writes an audit entry for a log-in.")
    expect(section).to_contain_text("workers/audit.py:")
    expect(section).to_be_in_viewport()


def test_flow_map__on_a_phone(open_page: Open, staff: LogIn) -> None:
    page = open_page(FLOW, staff("view_flowmap"), viewport=PHONE, has_touch=True, is_mobile=True)
    assert sticks_out(page) == 0
    assert faults(page) == []
    screenshot(page, "flow-map-phone")


def test_flow_map__refreshes_by_itself(open_page: Open, staff: LogIn) -> None:
    page = open_page(FLOW, staff("view_flowmap"))
    with page.expect_response(
        lambda answer: answer.url.endswith("/flowmap/now/?"), timeout=PATIENCE
    ) as answer:
        pass
    assert answer.value.status == 200
