"""The health page: each figure from the minutes, for those who may look, in a bounded number of statements."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from events.admin import measures
from events.clock import after
from events.fast_path import fast_path
from events.models import Delivery, EventRecord, Meter, Minute, PausedReceiver, Queue, State, Worker
from events.operations import reaching
from events.operations.health import Health, overview
from events.relay.metering import METER, MINUTE, floor
from tests.events.ageing import store
from tests.events.ending import counted
from tests.events.operating import broker_away
from tests.events.queries import statements

pytestmark = pytest.mark.django_db

PAGE = reverse("admin:offload_minute_changelist")
NOW = reverse("admin:offload_minute_now")
JSON = reverse("admin:offload_minute_json")
SCRIPT = "<script>alert('x')</script>"


@pytest.fixture(autouse=True)
def watches() -> Iterator[None]:
    """None knows anything yet of what an earlier test saw."""
    with broker_away():
        reaching._broker.cache_clear()
        reaching._database.cache_clear()
        yield
        reaching._broker.cache_clear()
        reaching._database.cache_clear()


@pytest.fixture
def log_in(client: Client) -> Callable[..., Client]:
    def with_(*codenames: str) -> Client:
        user = User.objects.create_user("somebody", password="x", is_staff=True)
        rights = Permission.objects.filter(content_type__app_label="offload", codename__in=codenames)
        user.user_permissions.set(rights)
        client.force_login(user)
        EventRecord.objects.all()._raw_delete("default")
        return client

    return with_


def health() -> Health:
    [found] = overview(["default"]).outboxes
    return found


def of_receiver(name: str) -> Any:
    return next(each for each in health().receivers if each.name == name)


def of_queue(name: str) -> Any:
    return next(each for each in health().queues if each.name == name)


def test_last_minute_and_hour__as_they_ended() -> None:
    counted(number=5)
    counted(number=2, state=State.DEAD, tries=3)
    counted(number=1, state=State.SKIPPED, minutes_ago=30)
    counted(number=9, minutes_ago=70)
    found = health()
    hour = found.last_hour
    assert (hour["done"], hour["dead"], hour["skipped"]) == (5, 2, 1)
    assert (found.last_minute.done, found.last_minute.dead) == (5, 2)
    assert len(found.bars) == 60
    assert sum(bar.done + bar.skipped + bar.dead for bar in found.bars) == 8


def test_receiver__rate_failure_share_and_slowest() -> None:
    counted(number=10, receiver="tests.slow", ran=2.5)
    counted(number=10, receiver="tests.slow", ran=0.01, tries=1)
    found = of_receiver("tests.slow")
    assert found.per_minute == 4
    # Twenty that went well, and ten tries that failed before.
    assert found.failure_share == pytest.approx(1 / 3)
    assert found.slowest_ms == pytest.approx(2500, abs=2)
    assert 2048 < (found.run[2] or 0) <= 4096


def test_receiver__retrying_and_dead_are_those_of_now() -> None:
    store(3, states=[State.WAITING], receivers={"tests.failing": "default"})
    Delivery.objects.update(tries=2)
    store(2, states=[State.WAITING], receivers={"tests.failing": "default"})
    store(4, states=[State.DEAD], receivers={"tests.failing": "default"})
    found = of_receiver("tests.failing")
    assert (found.retrying, found.dead) == (3, 4)
    assert (health().retrying, health().dead) == (3, 4)
    # The worst comes first.
    assert health().receivers[0].name == "tests.failing"


def test_queue__time_to_clear_at_the_pace_of_the_last_minutes() -> None:
    counted(number=60)
    store(30, states=[State.WAITING], receivers={"tests.first": "default"})
    found = of_queue("default")
    assert (found.per_minute, found.waiting, found.unfinished) == (12, 30, 30)
    assert found.clear_in == 150
    assert of_queue("audit").clear_in == 0


def test_queue__waits_and_nothing_ends__no_time_is_promised() -> None:
    store(1, states=[State.WAITING], receivers={"tests.first": "default"})
    assert of_queue("default").clear_in is None


def test_queue__quantiles_of_wait_and_run() -> None:
    counted(number=98, waited=0.1, ran=0.02)
    counted(number=2, waited=30, ran=6)
    p50, p95, p99 = of_queue("default").wait
    assert 64 < p50 <= 128
    assert 64 < p95 <= 128
    assert 16_384 < p99 <= 32_768
    assert 4_096 < of_queue("default").run[2] <= 8_192


def test_queue__workers_and_their_processes() -> None:
    Worker.objects.create(id="one", queues=["default"], processes=2)
    Worker.objects.create(id="two", queues=["default", "audit"], processes=3)
    assert (of_queue("default").workers, of_queue("default").processes) == (2, 5)
    assert health().workers == 2


def test_relay__its_last_round() -> None:
    assert not health().relay.is_alive
    Queue.objects.create(name="default", lease_owner="one", lease_until=timezone.now() + timedelta(seconds=8))
    found = health().relay
    assert found.is_alive
    assert found.owner == "one"
    assert found.beat_at is not None
    assert timedelta(0) < timezone.now() - found.beat_at < timedelta(minutes=5)


def test_relay__all_queues_paused__is_alive_even_so() -> None:
    Meter.objects.create(name=METER)
    assert health().relay.is_alive


def test_relay__idle_for_minutes__shows_its_sign_of_life(log_in: Callable[..., Client]) -> None:
    client = log_in("view_minute")
    # It fed a queue, and nothing has been unfinished since.
    Queue.objects.create(name="default", lease_owner="one", lease_until=after(-290))
    assert not health().relay.is_alive
    assert "5.0 min ago" in card(client, "Relay")
    Meter.objects.create(name=METER, lease_owner="two")
    Meter.objects.update(read_at=after(-4))
    found = health().relay
    assert (found.is_alive, found.owner) == (True, "two")
    assert re.search(r"[45]\.\d s ago", card(client, "Relay"))


def test_relay__catches_up_on_its_figures__is_alive_meanwhile() -> None:
    Meter.objects.create(name=METER, lease_owner="one", lease_until=after(28))
    Meter.objects.update(read_at=after(-90))
    found = health().relay
    assert found.is_alive
    assert found.beat_at is not None
    assert found.read_at is not None
    assert found.beat_at - found.read_at > timedelta(seconds=80)


def test_relay__died_while_it_counted__is_silent_since_then() -> None:
    Meter.objects.create(name=METER, lease_owner="one", lease_until=after(5))
    Meter.objects.update(read_at=after(-25))
    assert not health().relay.is_alive


def test_relay__is_alive_by_the_clock_that_times_are_stored_by(settings: Settings) -> None:
    settings.TIME_ZONE, settings.USE_TZ = "Asia/Tokyo", False
    Meter.objects.create(name=METER)
    assert health().relay.is_alive
    Meter.objects.update(read_at=after(-60))
    assert 60 <= (health().relay.silent_for or 0) < 70


def test_breaker__its_state_and_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    at = timezone.now()
    monkeypatch.setattr(fast_path.breaker, "_open", True)
    monkeypatch.setattr(fast_path.breaker, "since", at)
    found = overview(["default"]).breaker
    assert (found.is_closed, found.since) == (False, at)


def test_broker__away__since_when_the_relays_know() -> None:
    since = timezone.now() - timedelta(hours=3)
    Meter.objects.create(name=METER, broker_ok=False, broker_since=since)
    found = overview(["default"]).broker
    assert not found.ok
    assert found.since == since
    assert found.error


def test_broker__accepts_and_never_answers__nobody_waits_for_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with broker_away(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"):
            found = overview(["default"]).broker
        assert not found.ok
        assert found.error


def test_page__every_figure_is_on_it(log_in: Callable[..., Client]) -> None:
    client = log_in("view_minute")
    counted(number=7, receiver="tests.a_receiver")
    Queue.objects.update_or_create(name="audit", defaults={"paused": True})
    PausedReceiver.objects.create(name="tests.a_receiver")
    html = client.get(PAGE).content.decode()
    for text in (
        *(
            "Oldest undelivered",
            "Last minute",
            "Last hour",
            "Failing now",
            "Dead letters",
            "Workers",
            "Relay",
        ),
        *("Broker", "not reachable since", "Database", "reachable since", "Breaker", "closed"),
        *("Time to clear", "Wait p50 / p95 / p99", "Run p50 / p95 / p99", "Slowest", "a receiver", "paused"),
    ):
        assert text in html
    assert 'class="events-bar-done"' in html
    assert "<polyline" in html


def card(client: Client, name: str) -> str:
    html = client.get(NOW).content.decode()
    text = html[html.index(f"<dt>{name}</dt>") :].partition("</dd>")[0]
    return " ".join(re.sub("<[^>]*>", " ", text).split())


def test_page__says_which_minute_it_is_and_what_of_it_are_deliveries_and_what_events(
    log_in: Callable[..., Client],
) -> None:
    client = log_in("view_minute")
    counted(number=16)
    minute = floor(timezone.now()) - MINUTE
    emitted = Minute.objects.filter(state=Minute.EMITTED, minute__gt=Minute.ever("default"))
    assert emitted.update(minute=minute, count=8) == 1
    assert card(client, "Last minute") == (
        f"Last minute 16 deliveries ended; 8 events emitted, at {timezone.localtime(minute):%H:%M}"
    )
    assert card(client, "Last hour") == "Last hour 16 deliveries ended; 8 events emitted"


@pytest.mark.parametrize("address", [PAGE, NOW, JSON])
def test_without_the_permission__nothing_is_shown(log_in: Callable[..., Client], address: str) -> None:
    assert log_in("view_delivery").get(address).status_code == 403


@pytest.mark.parametrize("address", [PAGE, NOW, JSON])
def test_not_logged_in__leads_to_the_login(client: Client, address: str) -> None:
    assert client.get(address).status_code == 302


def test_json__has_the_same_figures(log_in: Callable[..., Client]) -> None:
    client = log_in("view_minute")
    counted(number=7, receiver="tests.a_receiver", waited=9_000)
    found = client.get(JSON).json()
    [outbox] = found["outboxes"]
    assert outbox["last_hour"]["done"] == 7
    assert not found["broker"]["ok"]
    [queue] = [each for each in outbox["queues"] if each["name"] == "default"]
    # Beyond the last bound.
    assert queue["wait"] == [None, None, None]


@pytest.mark.parametrize("address", [PAGE, NOW, JSON])
def test_statements__are_as_many_however_much_there_is(log_in: Callable[..., Client], address: str) -> None:
    client = log_in("view_minute")
    found = []
    for round_ in range(2):
        for number in range(1 + 5 * round_):
            name = f"tests.receiver{number}"
            counted(number=20, receiver=name, minutes_ago=number + 1)
            store(20, states=[State.WAITING], receivers={name: f"queue{number}"})
            store(20, states=[State.DEAD], receivers={name: f"queue{number}"})
        with statements() as made:
            assert client.get(address).status_code == 200
        found.append([each for each in made if "offload" in each])
    assert found[0] == found[1]
    assert sorted(found[0]) == [
        # In which queues something is unfinished, how much of it, what is tried again, what is dead; and the oldest
        # event with anything unfinished, and that nobody looked at yet.
        *["SELECT offload_delivery"] * 4,
        *["SELECT offload_event"] * 2,
        "SELECT offload_meter",
        "SELECT offload_minute",
        "SELECT offload_paused_receiver",
        "SELECT offload_queue",
        "SELECT offload_worker",
    ]


def test_page__what_anybody_named_is_escaped(log_in: Callable[..., Client]) -> None:
    client = log_in("view_minute")
    counted(receiver=f"tests.{SCRIPT}")
    store(1, states=[State.DEAD], receivers={f"tests.{SCRIPT}": SCRIPT})
    store(1, states=[State.WAITING], receivers={f"tests.{SCRIPT}": SCRIPT})
    Queue.objects.create(name=SCRIPT, lease_owner=SCRIPT, lease_until=timezone.now())
    html = client.get(PAGE).content.decode()
    assert "&lt;script&gt;" in html
    assert SCRIPT not in html


def test_page__nothing_inline(log_in: Callable[..., Client]) -> None:
    counted(number=3)
    html = log_in("view_minute").get(PAGE).content.decode()
    assert " style=" not in html
    assert "<style" not in html
    assert " onclick" not in html


def test_index_of_the_bus__leads_to_what_one_may_see(log_in: Callable[..., Client]) -> None:
    client = log_in("view_minute", "view_queue")
    html = client.get(reverse("admin:app_list", args=["offload"])).content.decode()
    nav = html[html.index("events-pages") :].partition("</nav>")[0]
    assert PAGE in nav
    assert reverse("admin:offload_queue_changelist") in nav
    assert reverse("admin:offload_worker_changelist") not in nav


def test_minutes__the_page_reads_no_delivery_that_is_done(log_in: Callable[..., Client]) -> None:
    client = log_in("view_minute")
    counted(number=3)
    # They are gone, and the page says so even so.
    Delivery.objects.all().delete()
    EventRecord.objects.all()._raw_delete("default")
    assert Minute.objects.filter(state=State.DONE).exists()
    assert client.get(JSON).json()["outboxes"][0]["last_hour"]["done"] == 3


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((None, None, None), "–"),
        ((12.0, 40.0, 250.0), "12 / 40 / 250 ms"),
        ((0.2, 0.5, 0.9), "<1 ms"),
        ((12.0, 1_500.0, float("inf")), "12 ms / 1.5 s / >1 h"),
    ],
)
def test_quantiles__as_a_person_reads_them(numbers: tuple[float | None, ...], shown: str) -> None:
    assert measures.several(numbers) == shown
