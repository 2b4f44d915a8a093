"""Replay in the admin: counted first, then in the background, by those who may."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models.signals import post_save
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from events import pauses
from events.models import Action, Delivery, EventRecord, State
from events.operations.jobs import NothingChosen, stop
from events.operations.replaying import start_replay
from events.relay.jobs import work
from events.relay.replaying import Past, Replayed
from events.relay.replays import Order
from events.testing import Drained, drain
from tests.events.conftest import LogIn, Offloaded
from tests.events.operating import offload_fragile
from tests.events.queries import statements
from tests.shop.models import Effect, Item

pytestmark = pytest.mark.django_db

REPLAY = reverse("admin:offload_eventrecord_replay")
EVENTS = reverse("admin:offload_eventrecord_changelist")
RECORD = "tests.shop.receivers.record_save"
NEW = "tests.events.test_admin_replay.latecomer"
MAIL = "tests.shop.receivers.mail_save"


def latecomer(sender: Any, instance: Item, **kwargs: Any) -> None:
    """A projection added after the events it is built from."""
    Effect.objects.create(receiver="latecomer", key=str(instance.pk), note=instance.title)


@pytest.fixture(autouse=True)
def one_database(settings: Settings, offloaded: Offloaded) -> Iterator[None]:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("default",)}
    offload_fragile(offloaded)
    yield
    pauses._known.clear()


@pytest.fixture
def replayer(log_in: LogIn) -> Client:
    return log_in("view_eventrecord", "replay_eventrecord")


@pytest.fixture
def items(replayer: Client) -> list[Item]:
    made = [Item.objects.create(title=f"{number}") for number in range(3)]
    drain()
    return made


def finish(job: Action) -> Action:
    while job.state == Action.State.RUNNING:
        work("default")
        job.refresh_from_db()
    return job


def counted(client: Client, **data: object) -> Action:
    response = client.post(REPLAY, data)
    job = Action.objects.latest("pk")
    assert response["Location"] == f"{REPLAY}?job={job.pk}"
    return finish(job)


def shown(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.usefixtures("items")
def test_count__says_how_many_and_does_nothing(replayer: Client) -> None:
    job = counted(replayer, types=["shop.item.created"])
    assert (job.what, job.state, job.count, job.total, job.passed) == ("counted", "done", 6, 3, 3)
    html = shown(replayer, f"{REPLAY}?job={job.pk}")
    assert f'<th scope="row">{RECORD}</th><td>3</td><td>0</td>' in html
    assert "Replay these 6 deliveries" in html
    assert drain() == Drained()


@pytest.mark.usefixtures("items")
def test_replay__what_was_counted__in_the_background(replayer: Client) -> None:
    before = counted(replayer, types=["shop.item.created"], receiver=MAIL)
    Item.objects.create(title="later")
    assert drain() == Drained(done=2)
    replayer.post(REPLAY, {"job": before.pk, "why": "a new mail server"})
    job = Action.objects.latest("pk")
    assert drain() == Drained()
    finish(job)
    assert (job.by, job.what, job.why) == ("ann", "replayed", "a new mail server")
    # And no event that came since it was counted.
    assert (job.count, drain()) == (3, Drained(done=3))


@pytest.mark.usefixtures("items")
def test_replay__asked_for_twice__is_one(replayer: Client) -> None:
    before = counted(replayer, types=["shop.item.created"], receiver=MAIL)
    first = replayer.post(REPLAY, {"job": before.pk})
    job = finish(Action.objects.get(what="replayed"))
    second = replayer.post(REPLAY, {"job": before.pk})
    assert second["Location"] == first["Location"] == f"{REPLAY}?job={job.pk}"
    assert Action.objects.filter(what="replayed").count() == 1
    html = shown(replayer, f"{REPLAY}?job={before.pk}")
    assert "Replay these" not in html
    assert f'href="?job={job.pk}"' in html


def test_replay__to_a_receiver_that_is_new(replayer: Client, items: list[Item], offloaded: Offloaded) -> None:
    offloaded(latecomer, post_save, sender=Item)
    before = counted(replayer, receiver=NEW)
    assert Order.load(before.chosen).found == Replayed(events=3, new={NEW: 3})
    replayer.post(REPLAY, {"job": before.pk})
    finish(Action.objects.latest("pk"))
    assert drain() == Drained(done=3)
    notes = Effect.objects.filter(receiver="latecomer").values_list("note", flat=True)
    assert sorted(notes) == [item.title for item in items]


@pytest.mark.usefixtures("items")
def test_replay__at_a_rate_in_steps_and_stopped_between_them(replayer: Client) -> None:
    before = counted(replayer, types=["shop.item.created"], receiver=RECORD)
    replayer.post(REPLAY, {"job": before.pk, "rate": "1"})
    job = Action.objects.latest("pk")
    assert work("default")
    job.refresh_from_db()
    assert (job.count, job.passed, job.state) == (1, 1, "running")
    assert not work("default")
    assert stop("default", job.pk, by="bob")
    Action.objects.filter(pk=job.pk).update(next_at=timezone.now())
    assert not work("default")
    assert drain() == Drained(done=1)


def test_count__nothing_fits__is_said(replayer: Client) -> None:
    said = replayer.post(REPLAY, {"until": "2020-01-01T12:00"}, follow=True).content.decode()
    assert "No event fits that." in said
    with pytest.raises(NothingChosen):
        start_replay("default", Past(types=("nothing",)), receiver=None, by="ann")
    assert not Action.objects.exists()


@pytest.mark.usefixtures("items")
def test_count__from_the_first_to_the_last_year_there_is(replayer: Client) -> None:
    job = counted(replayer, since="0001-01-01T00:00", until="9999-12-31T23:59")
    assert job.passed >= 3


@pytest.mark.parametrize("data", [{}, {"types": ["no.type"]}, {"receiver": "nobody"}, {"since": "once"}])
def test_count__what_makes_no_sense__is_said_and_nothing_begun(
    replayer: Client, data: dict[str, object]
) -> None:
    said = replayer.post(REPLAY, data).content.decode()
    assert "errornote" in said or "errorlist" in said
    assert not Action.objects.exists()


@pytest.mark.usefixtures("items")
def test_replay__of_what_was_not_counted__is_not_found(replayer: Client) -> None:
    job = counted(replayer, types=["shop.item.created"])
    for key in ("x", "0", "9" * 40, "-1"):
        assert replayer.post(REPLAY, {"job": key}).status_code == 404
        assert replayer.get(f"{REPLAY}?job={key}").status_code == 404
    Action.objects.filter(pk=job.pk).update(state="running")
    assert replayer.post(REPLAY, {"job": job.pk}).status_code == 404


@pytest.mark.usefixtures("items")
def test_job__whose_receiver_this_relay_does_not_know__is_stopped_and_says_so(replayer: Client) -> None:
    job = start_replay("default", Past(), receiver=RECORD, by="ann")
    order = Order.load(job.chosen)
    order.receiver = "gone"
    Action.objects.filter(pk=job.pk).update(chosen=order.dump())
    job.refresh_from_db()
    finish(job)
    assert job.state == "stopped"
    assert "no receiver 'gone'" in job.outcome


def test_order__comes_back_from_its_row_as_it_was(items: list[Item]) -> None:
    now = timezone.now()
    last = EventRecord.objects.latest("pk").pk
    for order in (
        Order(past=Past(), receiver=None, last=last),
        Order(
            past=Past(types=("a", "b"), since=now, until=now),
            receiver="r",
            last=last,
            after=last,
            found=Replayed(events=3, again={"r": 2}, new={"s": 1}, unfinished=4, forgotten=5),
        ),
    ):
        assert Order.load(order.dump()) == order


def test_past__by_time__of_events_long_after_others(items: list[Item]) -> None:
    day = timezone.now() - timedelta(days=1)
    assert Past(since=day).events("default").count() >= 3
    assert Past(until=day).events("default").count() == 0
    assert Past(since=timezone.now() + timedelta(hours=1)).events("default").count() == 0


# --- Who may ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "codenames",
    [
        ("view_eventrecord", "redeliver_delivery", "discard_delivery", "pause_queue", "view_action"),
        ("replay_eventrecord", "view_action"),
    ],
)
def test_page__who_may_not_look_or_not_replay__is_refused(log_in: LogIn, codenames: tuple[str, ...]) -> None:
    Item.objects.create(title="x")
    drain()
    job = start_replay("default", Past(), receiver=None, by="bob", dry_run=True)
    finish(job)
    client = log_in(*codenames)
    assert client.get(REPLAY).status_code == 403
    assert client.get(f"{REPLAY}?job={job.pk}").status_code == 403
    assert client.post(REPLAY, {"types": ["shop.item.created"]}).status_code == 403
    assert client.post(REPLAY, {"job": job.pk}).status_code == 403
    assert Action.objects.count() == 1
    assert not Delivery.objects.filter(state=State.WAITING).exists()


def test_list__offers_it_to_those_who_may(log_in: LogIn) -> None:
    client = log_in("view_eventrecord")
    assert REPLAY not in shown(client, EVENTS)
    User.objects.get().user_permissions.add(Permission.objects.get(codename="replay_eventrecord"))
    assert REPLAY in shown(client, EVENTS)


def test_page__without_the_token__is_refused(replayer: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ann"))
    assert strict.post(REPLAY, {"types": ["shop.item.created"]}).status_code == 403


@pytest.mark.usefixtures("items")
def test_progress__is_seen_by_who_may_replay(replayer: Client) -> None:
    job = start_replay("default", Past(types=("shop.item.created",)), receiver=None, by="ann")
    address = reverse("admin:offload_action_progress", args=[job.pk])
    assert replayer.get(address).json()["total"] == 3
    other = Client()
    other.force_login(User.objects.create_user("nobody", is_staff=True))
    assert other.get(address).status_code == 403


# --- The cost -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("items")
def test_page__statements_are_few(replayer: Client) -> None:
    job = counted(replayer, types=["shop.item.created"])
    with statements() as made:
        shown(replayer, f"{REPLAY}?job={job.pk}")
    assert len([statement for statement in made if "offload_" in statement]) == 1, made
