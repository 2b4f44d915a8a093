"""The page of receivers: which runs, which is paused or parked and why; paused and resumed by those who may."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from events import pauses
from events.delivery.kill_switch import park
from events.models import Action, PausedReceiver, Queue
from events.registry import registry
from events.testing import Drained, drain
from tests.events.conftest import LogIn, Offloaded
from tests.events.operating import FRAGILE, bury, mend, offload_fragile, strained
from tests.events.queries import statements

pytestmark = pytest.mark.django_db

RECEIVERS = reverse("admin:offload_pausedreceiver_changelist")
ACT = reverse("admin:offload_pausedreceiver_act")
QUEUES = reverse("admin:offload_queue_changelist")
SCRIPT = "<script>alert('x')</script>"


@pytest.fixture(autouse=True)
def receivers(offloaded: Offloaded) -> Iterator[None]:
    offload_fragile(offloaded)
    yield
    pauses._known.clear()


def shown(client: Client) -> str:
    response = client.get(RECEIVERS)
    assert response.status_code == 200
    return response.content.decode()


def test_page__tells_of_each_whether_it_runs(log_in: LogIn) -> None:
    client = log_in("view_pausedreceiver")
    assert "Fails until somebody mends it." in shown(client)
    assert "paused" not in shown(client).replace("pausedreceiver", "")
    park("default", registry.get(FRAGILE), "20 of its last 20 runs failed")
    html = shown(client)
    assert "parked" in html
    assert "20 of its last 20 runs failed" in html
    assert "probed from" in html


def test_page__links_to_its_failures(log_in: LogIn) -> None:
    client = log_in("view_pausedreceiver")
    bury("1", "2")
    assert f"{reverse('admin:offload_failure_changelist')}?receiver={FRAGILE}" in shown(client)


def test_pause_and_resume(log_in: LogIn) -> None:
    client = log_in("view_pausedreceiver", "pause_queue")
    mend()
    client.post(ACT, {"act": "pause", "names": [FRAGILE], "why": "it floods"})
    row = PausedReceiver.objects.get()
    assert (row.name, row.by, row.why) == (FRAGILE, "ann", "it floods")
    html = shown(client)
    assert "by ann: it floods" in html
    strained.send(note="x")
    assert drain().done == 0
    client.post(ACT, {"act": "resume", "names": [FRAGILE]})
    assert drain() == Drained(done=1)
    told = Action.objects.order_by("pk").values_list("by", "what", "target", "why")
    assert list(told) == [
        ("ann", "paused", f"receiver {FRAGILE}", "it floods"),
        ("ann", "resumed", f"receiver {FRAGILE}", ""),
    ]


def test_act__one_bad_name_stops_nothing(log_in: LogIn) -> None:
    client = log_in("view_pausedreceiver", "pause_queue")
    said = client.post(ACT, {"act": "pause", "names": ["nobody", FRAGILE]}, follow=True).content.decode()
    assert "No queue or receiver is called" in said
    assert PausedReceiver.objects.get().name == FRAGILE


@pytest.mark.parametrize("data", [{}, {"act": "pause"}, {"act": "other", "names": [FRAGILE]}])
def test_act__nothing_selected_or_unknown__does_nothing(log_in: LogIn, data: dict[str, object]) -> None:
    client = log_in("view_pausedreceiver", "pause_queue")
    assert "Select receivers first." in client.post(ACT, data, follow=True).content.decode()
    assert not Action.objects.exists()


@pytest.mark.parametrize(
    "codenames",
    [
        ("view_pausedreceiver", "redeliver_delivery", "discard_delivery", "replay_eventrecord"),
        ("pause_queue", "view_queue"),
    ],
)
@pytest.mark.parametrize("act", ["pause", "resume"])
def test_act__without_the_permission__is_refused(log_in: LogIn, codenames: tuple[str, ...], act: str) -> None:
    client = log_in(*codenames)
    if act == "resume":
        PausedReceiver.objects.create(name=FRAGILE)
    assert client.post(ACT, {"act": act, "names": [FRAGILE]}).status_code == 403
    assert PausedReceiver.objects.exists() == (act == "resume")
    assert not Action.objects.exists()


def test_page__who_may_not_look__is_refused(log_in: LogIn) -> None:
    client = log_in("pause_queue", "view_queue", "view_delivery")
    assert client.get(RECEIVERS).status_code == 403
    assert client.get(ACT).status_code == 405


def test_page__offers_only_what_one_may(log_in: LogIn) -> None:
    client = log_in("view_pausedreceiver")
    assert "Pause the selected" not in shown(client)
    User.objects.get().user_permissions.add(Permission.objects.get(codename="pause_queue"))
    assert "Pause the selected" in shown(client)


def test_page__everything_is_escaped(log_in: LogIn) -> None:
    client = log_in("view_pausedreceiver")
    PausedReceiver.objects.create(name=SCRIPT, by=SCRIPT, why=SCRIPT)
    html = shown(client)
    assert SCRIPT not in html
    assert html.count("&lt;script&gt;") >= 3


def test_page__two_statements_however_many(log_in: LogIn) -> None:
    client = log_in("view_pausedreceiver")
    for number in range(50):
        PausedReceiver.objects.create(name=f"gone.{number}")
    with statements() as made:
        shown(client)
    assert len([statement for statement in made if "offload_" in statement]) == 2, made


def test_queue__paused_with_a_reason(log_in: LogIn) -> None:
    client = log_in("view_queue", "pause_queue")
    Queue.objects.create(name="extra")
    client.post(QUEUES, {"action": "pause", "_selected_action": "extra", "why": "a deploy"})
    assert Action.objects.get().why == "a deploy"
