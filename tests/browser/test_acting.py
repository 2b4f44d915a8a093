"""Failures put right, events replayed, receivers paused: in a browser, with real workers and a real mail server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse
from playwright.sync_api import Page, expect

from events.admin.failures import group_page
from events.models import Action, Delivery, EventRecord, PausedReceiver, State
from library.models import Book
from tests.browser.conftest import QUEUES, LogIn, Open, Site
from tests.browser.looking import PHONE, faults, screenshot, sticks_out
from tests.processes.conftest import Start, wait_for
from tests.workers.conftest import StrictSink

MAIL = "workers.emails.send_welcome_email"
FAILURES = reverse("admin:offload_failure_changelist")
RECEIVERS = reverse("admin:offload_pausedreceiver_changelist")
REPLAY = reverse("admin:offload_eventrecord_replay")
READERS = 4
# Milliseconds after which what workers do is not seen any more.
PATIENCE = 120_000

pytestmark = pytest.mark.django_db(transaction=True)

Mails = Callable[[str], "list[Delivery]"]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[StrictSink]:
    with StrictSink(tmp_path / "mails") as running:
        yield running


@pytest.fixture
def refused(sink: StrictSink, start_worker: Start) -> list[Delivery]:
    """Dead letters, because the mail server refuses every address for good; from now on it takes them."""
    sink.to_recipient = "550 No such user"
    worker = start_worker("-Q", QUEUES, EMAIL_URL=sink.url)
    with transaction.atomic():
        for number in range(READERS):
            User.objects.create_user(f"reader{number}", f"reader{number}@example.org", "x")
    dead = Delivery.objects.filter(receiver=MAIL, state=State.DEAD)
    wait_for(lambda: dead.count() == READERS, "dead letters", log=worker.log)
    sink.to_recipient = "250 OK"
    return list(dead.order_by("pk"))


def done() -> int:
    return Delivery.objects.filter(receiver=MAIL, state=State.DONE).count()


def tab_to(page: Page, name: str) -> None:
    """By the Tab key alone, until what is called so has the focus."""
    script = "(document.activeElement.ariaLabel || document.activeElement.innerText || '').trim()"
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate(script).startswith(name):
            return
    pytest.fail(f"the Tab key never comes to {name!r}")


def is_sound(page: Page, name: str) -> None:
    screenshot(page, name)
    assert faults(page) == []
    assert sticks_out(page) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_failures__a_kind_is_redelivered_and_becomes_done(
    refused: list[Delivery], sink: StrictSink, open_page: Open, staff: LogIn, scheme: str
) -> None:
    user = staff("view_delivery", "redeliver_delivery", "discard_delivery", "note_delivery", "view_action")
    page = open_page(FAILURES, user, color_scheme=scheme, viewport={"width": 1400, "height": 1000})
    expect(page.get_by_text(f"{READERS} dead letters of 1 kind")).to_be_visible()
    is_sound(page, f"failures-{scheme}")
    page.get_by_role("link", name="Undeliverable").click()
    expect(page.get_by_text("No such user").first).to_be_visible()
    page.get_by_role("textbox", name="Note").fill("The mail server refused all; mended.")
    page.get_by_role("button", name="Add the note").click()
    expect(page.get_by_text("The mail server refused all; mended.")).to_be_visible()
    is_sound(page, f"failure-group-{scheme}")
    page.get_by_role("form", name="Redeliver all of this kind").get_by_label("Why").fill("mended")
    page.get_by_role("button", name="Redeliver all of this kind").click()
    # The page tells by itself how far it is: the first alone, and then the rest.
    expect(page.locator("[data-name=state]")).to_have_text("done", timeout=PATIENCE)
    expect(page.locator("[data-name=count]")).to_have_text(f"{READERS}")
    is_sound(page, f"action-{scheme}")
    wait_for(lambda: done() == READERS, "all are done")
    assert {mail.recipients[0] for mail in sink.mails} == {
        f"reader{number}@example.org" for number in range(READERS)
    }
    assert Action.objects.get(what="redelivered").by == user.username
    page.goto(page.url.partition("/admin/")[0] + FAILURES)
    expect(page.get_by_text("There are no dead letters.")).to_be_visible()


def test_failures__the_first_fails_again__nothing_follows(
    refused: list[Delivery], sink: StrictSink, open_page: Open, staff: LogIn
) -> None:
    sink.to_recipient = "550 Still no such user"
    user = staff("view_delivery", "redeliver_delivery", "view_action")
    page = open_page(group_page(MAIL, refused[0].fingerprint), user)
    page.get_by_role("button", name="Redeliver all of this kind").click()
    expect(page.locator("[data-name=state]")).to_have_text("stopped", timeout=PATIENCE)
    expect(page.locator("[data-name=outcome]")).to_contain_text("failed again")
    assert (Action.objects.get().count, done()) == (1, 0)
    sink.to_recipient = "250 OK"
    page.reload()
    page.get_by_role("button", name="Let it go on").click()
    expect(page.locator("[data-name=state]")).to_have_text("done", timeout=PATIENCE)
    # The first of them has died once more, and is somebody's decision of its own.
    wait_for(lambda: done() == READERS - 1, "the rest is done")


def test_failures__by_keyboard_alone(refused: list[Delivery], open_page: Open, staff: LogIn) -> None:
    user = staff("view_delivery", "redeliver_delivery", "view_action")
    page = open_page(FAILURES, user)
    tab_to(page, "workers.mail.Undeliverable")
    page.keyboard.press("Enter")
    page.wait_for_url("**/group/**")
    tab_to(page, f"Select delivery {refused[-1].pk}")
    page.keyboard.press("Space")
    tab_to(page, "Redeliver the selected")
    page.keyboard.press("Enter")
    expect(page.locator("[data-name=state]")).to_have_text("done", timeout=PATIENCE)
    wait_for(lambda: done() == 1, "the selected one is done")
    assert Delivery.objects.get(pk=refused[-1].pk).state == State.DONE


def test_failures__who_may_not__is_refused_on_the_page_and_by_direct_post(
    refused: list[Delivery], site: Site, open_page: Open, staff: LogIn
) -> None:
    page = open_page(group_page(MAIL, refused[0].fingerprint), staff("view_delivery"))
    expect(page.get_by_text("No such user").first).to_be_visible()
    expect(page.get_by_role("button", name="Redeliver")).to_have_count(0)
    expect(page.get_by_role("button", name="Discard")).to_have_count(0)
    # With everything that a form of the page would have brought.
    page.goto(f"{site.url}{reverse('admin:offload_delivery_changelist')}")
    token = page.context.cookies(site.url)
    csrf = next(cookie["value"] for cookie in token if cookie["name"] == "csrftoken")
    posts = {
        reverse("admin:offload_failure_act"): {"act": "redeliver"},
        reverse("admin:offload_failure_note"): {"text": "x", "receiver": MAIL},
        reverse("admin:offload_pausedreceiver_act"): {"act": "pause", "names": MAIL},
        REPLAY: {"types": "auth.user.created"},
    }
    for address, data in posts.items():
        answer = page.request.post(
            f"{site.url}{address}",
            form={**data, "csrfmiddlewaretoken": csrf},
            headers={"Referer": f"{site.url}{FAILURES}"},
        )
        assert answer.status == 403, address
    assert not Action.objects.exists()
    assert set(Delivery.objects.filter(receiver=MAIL).values_list("state", flat=True)) == {State.DEAD}


def test_failures__on_a_phone(refused: list[Delivery], open_page: Open, staff: LogIn) -> None:
    user = staff("everything")
    for name, address in {
        "failures": FAILURES,
        "failure-group": group_page(MAIL, refused[0].fingerprint),
        "receivers": RECEIVERS,
        "replay": REPLAY,
    }.items():
        page = open_page(address, user, viewport=PHONE, has_touch=True, is_mobile=True)
        is_sound(page, f"{name}-phone")


def test_discard__with_its_reason(refused: list[Delivery], open_page: Open, staff: LogIn) -> None:
    user = staff("view_delivery", "discard_delivery", "view_action")
    page = open_page(group_page(MAIL, refused[0].fingerprint), user)
    form = page.get_by_role("form", name="Discard all of this kind")
    # Without a reason the browser doesn't even send it.
    page.get_by_role("button", name="Discard all of this kind").click()
    assert not Action.objects.exists()
    form.get_by_label("Why").fill("accounts of a test")
    page.get_by_role("button", name="Discard all of this kind").click()
    expect(page.locator("[data-name=state]")).to_have_text("done", timeout=PATIENCE)
    reasons = Delivery.objects.filter(receiver=MAIL).values_list("reason", flat=True)
    assert set(reasons) == {f"discarded by {user.username}: accounts of a test"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_event__tells_its_story(refused: list[Delivery], open_page: Open, staff: LogIn, scheme: str) -> None:
    event = refused[0].event
    address = reverse("admin:offload_eventrecord_change", args=[event.pk])
    page = open_page(
        address, staff("everything"), color_scheme=scheme, viewport={"width": 1400, "height": 1000}
    )
    expect(page.locator(".events-timeline").first).to_contain_text("Undeliverable")
    expect(page.locator(".events-tree")).to_contain_text("auth.user.created")
    is_sound(page, f"event-{scheme}")


def test_receiver__is_paused_and_resumed(start_worker: Start, open_page: Open, staff: LogIn) -> None:
    name = "workers.audit.record_saved_book"
    start_worker("-Q", QUEUES)
    page = open_page(RECEIVERS, staff("view_pausedreceiver", "pause_queue"))
    page.get_by_label(f"Select {name}").check()
    page.get_by_label("Why").fill("a deploy")
    page.get_by_role("button", name="Pause the selected").click()
    expect(page.get_by_text("a deploy")).to_be_visible()
    is_sound(page, "receivers-paused")
    with transaction.atomic():
        Book.objects.create(title="A book", author="Somebody")
    mine = Delivery.objects.filter(receiver=name)
    wait_for(mine.filter(state=State.WAITING).exists, "it waits")
    wait_for(
        Delivery.objects.exclude(receiver=name).filter(state=State.DONE).exists,
        "the others go on",
    )
    assert not mine.filter(state=State.DONE).exists()
    page.get_by_label(f"Select {name}").check()
    page.get_by_role("button", name="Resume the selected").click()
    expect(page.get_by_text(f"Resumed: {name}.")).to_be_visible()
    wait_for(mine.filter(state=State.DONE).exists, "it goes on")
    assert not PausedReceiver.objects.exists()


def test_replay__counted_first_and_then_done(start_worker: Start, open_page: Open, staff: LogIn) -> None:
    name = "workers.audit.record_saved_book"
    start_worker("-Q", QUEUES)
    with transaction.atomic():
        for number in range(3):
            Book.objects.create(title=f"Book {number}", author="Somebody")
    mine = Delivery.objects.filter(receiver=name, state=State.DONE)
    wait_for(lambda: mine.count() == 3, "three deliveries")
    [before] = set(mine.values_list("attempt", flat=True)) or [0]
    page = open_page(
        reverse("admin:offload_eventrecord_changelist"), staff("view_eventrecord", "replay_eventrecord")
    )
    page.get_by_role("link", name="Replay past events").click()
    page.locator("select[name=types]").select_option("library.book.created")
    page.locator("select[name=receiver]").select_option(name)
    is_sound(page, "replay")
    page.get_by_role("button", name="Count them").click()
    # The page comes again by itself when they are counted.
    button = page.get_by_role("button", name="Replay these 3 deliveries")
    expect(button).to_be_visible(timeout=PATIENCE)
    is_sound(page, "replay-counted")
    assert EventRecord.objects.filter(type="library.book.created").count() == 3
    button.click()
    expect(page.get_by_role("heading", name="Replayed")).to_be_visible()
    expect(page.locator("[data-name=state]")).to_have_text("done", timeout=PATIENCE)
    wait_for(lambda: mine.filter(attempt__gt=before).count() == 3, "three more deliveries")
