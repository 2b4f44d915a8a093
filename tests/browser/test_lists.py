"""The lists that Django's admin draws, with what a real worker and a person left in them."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from events.models import Action, Queue, Refusal, Worker
from project.celery import app
from tests.browser.conftest import QUEUES, LogIn, Open
from tests.browser.looking import PHONE, faults, screenshot, sticks_out
from tests.processes.conftest import Start, wait_for

LISTS = ("queue", "worker", "refusal", "action", "delivery", "eventrecord")
RECEIVER = "workers.audit.record_saved_book"

pytestmark = pytest.mark.django_db(transaction=True)


def address(name: str) -> str:
    return reverse(f"admin:offload_{name}_changelist")


def pause_a_queue(open_page: Open, staff: LogIn) -> None:
    page = open_page(address("queue"), staff("view_queue", "pause_queue"))
    page.get_by_role("row", name="emails").get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("pause")
    page.get_by_label("Why:").fill("a deploy")
    page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
    expect(page.get_by_text("Paused: emails.")).to_be_visible()


@pytest.fixture
def something_in_each(start_worker: Start, open_page: Open, staff: LogIn) -> None:
    worker = start_worker("-Q", QUEUES)
    app.send_task(RECEIVER, ["forged"], queue="audit")
    for model in (Worker, Queue, Refusal):
        wait_for(model.objects.exists, f"a {model.__name__}", log=worker.log)
    wait_for(Queue.objects.filter(name="emails").exists, "the queue of mails", log=worker.log)
    pause_a_queue(open_page, staff)
    assert Action.objects.filter(what="paused").exists()


def test_lists__are_sound_on_a_desk_and_on_a_phone(
    something_in_each: None, open_page: Open, staff: LogIn
) -> None:
    user = staff("everything")
    for name in LISTS:
        for kind, options in {"desk": {}, "phone": {"viewport": PHONE, "is_mobile": True}}.items():
            page = open_page(address(name), user, **options)
            assert page.locator("#result_list tbody tr").count() > 0, name
            screenshot(page, f"list-{name}-{kind}")
            assert faults(page) == [], name
            assert sticks_out(page) == 0, name


def test_search__is_labelled_by_what_it_searches(open_page: Open, staff: LogIn) -> None:
    page = open_page(address("action"), staff("view_action"))
    page.get_by_role("textbox", name="Search actions", exact=True).fill("nobody")
    page.keyboard.press("Enter")
    expect(page.get_by_text("0 results")).to_be_visible()
