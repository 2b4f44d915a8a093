"""Redeliver, discard, pause, resume: who may, what happens, and what the log says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from events import pauses
from events.models import Delivery, Queue, State
from events.testing import Drained, drain
from tests.events.conftest import LogIn, Offloaded
from tests.events.operating import bury, mend, offload_fragile
from tests.shop.models import Item

pytestmark = pytest.mark.django_db

DELIVERIES = reverse("admin:offload_delivery_changelist")
QUEUES = reverse("admin:offload_queue_changelist")


@pytest.fixture(autouse=True)
def receivers(offloaded: Offloaded) -> Iterator[None]:
    offload_fragile(offloaded)
    yield
    # What this process has read is rolled back with the test.
    pauses._known.clear()


@pytest.fixture
def log_in(log_in: LogIn) -> LogIn:
    return partial(log_in, "view_delivery", "view_queue")


def act(client: Client, action: str, *keys: Any, address: str = DELIVERIES, **more: str) -> str:
    data = {"action": action, "_selected_action": [str(key) for key in keys], **more}
    response = client.post(address, data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def state(row: Delivery) -> str:
    return Delivery.objects.get(pk=row.pk).state


def test_redeliver__the_receiver_runs_again(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery")
    (row,) = bury()
    mend()
    assert "1 dead letters redelivered." in act(client, "redeliver", row.pk)
    assert drain() == Drained(done=1)


def test_redeliver__without_the_permission__nothing_happens(log_in: LogIn) -> None:
    client = log_in("discard_delivery", "change_delivery", "delete_delivery")
    (row,) = bury()
    act(client, "redeliver", row.pk)
    assert state(row) == State.DEAD
    assert not LogEntry.objects.exists()


def test_discard__without_the_permission__nothing_happens(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery", "change_delivery", "delete_delivery")
    (row,) = bury()
    act(client, "discard", row.pk, why="a test")
    assert state(row) == State.DEAD


def test_act__who_may_only_look__nothing_happens(log_in: LogIn) -> None:
    client = log_in()
    (row,) = bury()
    for action in ("redeliver", "discard"):
        act(client, action, row.pk, why="a test")
    assert state(row) == State.DEAD


def test_act__who_may_not_even_look__is_refused(client: Client) -> None:
    (row,) = bury()
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    response = client.post(DELIVERIES, {"action": "redeliver", "_selected_action": [str(row.pk)]})
    assert response.status_code == 403


def test_discard__without_a_reason__is_refused(log_in: LogIn) -> None:
    client = log_in("discard_delivery")
    (row,) = bury()
    assert "Say why" in act(client, "discard", row.pk, why=" ")
    assert state(row) == State.DEAD


def test_discard__says_by_whom_and_why(log_in: LogIn) -> None:
    client = log_in("discard_delivery")
    (row,) = bury()
    act(client, "discard", row.pk, why="by hand")
    assert Delivery.objects.get(pk=row.pk).reason == "discarded by ann: by hand"
    assert state(row) == State.SKIPPED


@pytest.mark.parametrize(("action", "text"), [("redeliver", "Redelivered."), ("discard", "Discarded.")])
def test_act__is_recorded_with_its_user(log_in: LogIn, action: str, text: str) -> None:
    client = log_in("redeliver_delivery", "discard_delivery")
    (row,) = bury()
    act(client, action, row.pk, why="a test")
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id, entry.change_message) == ("ann", str(row.pk), text)


def test_act__not_dead__is_left_alone_and_not_recorded(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery", "discard_delivery")
    Item.objects.create(title="fine")
    drain()
    keys = list(Delivery.objects.values_list("pk", flat=True))
    before = list(Delivery.objects.order_by("pk").values_list("state", flat=True))
    for action in ("redeliver", "discard"):
        assert "left as they are" in act(client, action, *keys, why="a test")
    assert list(Delivery.objects.order_by("pk").values_list("state", flat=True)) == before
    assert not LogEntry.objects.exists()


def test_redeliver__everything_found__not_only_this_page(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery")
    rows = bury("1", "2", "3")
    said = act(
        client, "redeliver", rows[0].pk, select_across="1", address=f"{DELIVERIES}?state__exact={State.DEAD}"
    )
    assert "3 dead letters redelivered." in said


@pytest.mark.parametrize(
    ("codename", "label"), [("redeliver_delivery", "Redeliver"), ("discard_delivery", "Discard")]
)
def test_page__of_a_dead_letter__offers_what_one_may(log_in: LogIn, codename: str, label: str) -> None:
    client = log_in(codename)
    (row,) = bury()
    html = client.get(reverse("admin:offload_delivery_change", args=[row.pk])).content.decode()
    buttons = [text for text in ("Redeliver", "Discard") if f'<button type="submit">{text}</button>' in html]
    assert buttons == [label]


def test_page__its_button_works(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery")
    (row,) = bury()
    act(client, "redeliver", row.pk, index="0")
    assert state(row) == State.WAITING


def test_page__of_what_is_done__offers_nothing(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery", "discard_delivery")
    Item.objects.create(title="fine")
    drain()
    row = Delivery.objects.earliest("pk")
    html = client.get(reverse("admin:offload_delivery_change", args=[row.pk])).content.decode()
    assert '<button type="submit">' not in html.partition("object-tools")[2].partition("</ul>")[0]


def test_page__history__tells_the_action(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery")
    (row,) = bury()
    act(client, "redeliver", row.pk)
    html = client.get(reverse("admin:offload_delivery_history", args=[row.pk])).content.decode()
    assert "Redelivered." in html


# --- Queues ------------------------------------------------------------------------------------------------


def test_pause_and_resume__queue(log_in: LogIn) -> None:
    client = log_in("pause_queue")
    Queue.objects.create(name="extra")
    assert "Paused: extra." in act(client, "pause", "extra", address=QUEUES)
    assert Queue.objects.get(name="extra").paused
    assert "Resumed: extra." in act(client, "resume", "extra", address=QUEUES)
    assert not Queue.objects.get(name="extra").paused
    said = LogEntry.objects.order_by("pk").values_list("user__username", "object_id", "change_message")
    assert list(said) == [("ann", "extra", "Paused."), ("ann", "extra", "Resumed.")]


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_pause__without_the_permission__nothing_happens(log_in: LogIn, action: str) -> None:
    client = log_in("change_queue", "delete_queue")
    Queue.objects.create(name="extra", paused=action == "resume")
    act(client, action, "extra", address=QUEUES)
    assert Queue.objects.get(name="extra").paused == (action == "resume")
    assert not LogEntry.objects.exists()


def test_pause__paused_already__is_not_recorded_again(log_in: LogIn) -> None:
    client = log_in("pause_queue")
    Queue.objects.create(name="extra", paused=True)
    assert "none, they were already" in act(client, "pause", "extra", address=QUEUES)
    assert not LogEntry.objects.exists()
