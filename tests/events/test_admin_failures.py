"""The page of failures: by kind, put right in the background, by those who may; a job's page; notes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from events import pauses
from events.admin.failures import group_page
from events.models import Action, Delivery, State
from events.operations.jobs import note, start
from events.relay.jobs import Chosen, work
from events.testing import Drained, drain
from tests.events.ageing import store_many
from tests.events.conftest import LogIn, Offloaded
from tests.events.operating import FRAGILE, bury, mend, offload_fragile
from tests.events.plans import plans_of, reads_all
from tests.events.queries import statements
from tests.events.test_jobs import RECEIVER, dead

pytestmark = pytest.mark.django_db

FAILURES = reverse("admin:offload_failure_changelist")
ACT = reverse("admin:offload_failure_act")
NOTE = reverse("admin:offload_failure_note")
SCRIPT = "<script>alert('x')</script>"
KIND = {"one_kind": "1", "receiver": FRAGILE}


@pytest.fixture(autouse=True)
def receivers(offloaded: Offloaded) -> Iterator[None]:
    offload_fragile(offloaded)
    yield
    pauses._known.clear()


@pytest.fixture
def log_in(log_in: LogIn) -> LogIn:
    return partial(log_in, "view_delivery", "view_action")


def shown(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def kind(row: Delivery) -> dict[str, str]:
    return {**KIND, "fingerprint": row.fingerprint}


def finish(job: Action) -> None:
    while job.state == Action.State.RUNNING:
        work("default")
        job.refresh_from_db()


# --- Looking ------------------------------------------------------------------------------------------------


def test_list__tells_what_since_when_and_how_many(log_in: LogIn) -> None:
    client = log_in()
    bury("1", "2", "a word")
    html = shown(client, FAILURES)
    assert "3 dead letters of 2 kinds" in html
    assert "ValueError: not mended: &lt;n&gt;" in html
    assert "ValueError: not mended: a word" in html


def test_list__filtered(log_in: LogIn) -> None:
    client = log_in()
    bury("1")
    dead(4)
    assert "4 dead letters of 1 kind" in shown(client, f"{FAILURES}?receiver={RECEIVER}")
    assert "1 dead letter of 1 kind" in shown(client, f"{FAILURES}?type=tests.strained&queue=default")
    assert "no dead letters that fit" in shown(client, f"{FAILURES}?until=2020-01-01T12:00")
    assert "A time is written as" in shown(client, f"{FAILURES}?until=yesterday")


def test_list__none(log_in: LogIn) -> None:
    assert "There are no dead letters." in shown(log_in("redeliver_delivery"), FAILURES)


def test_group__shows_its_sample_and_each_of_it(log_in: LogIn) -> None:
    client = log_in()
    first, second = bury("1", "2")
    html = shown(client, group_page(FRAGILE, first.fingerprint))
    assert "Traceback" in html
    for row in (first, second):
        assert reverse("admin:offload_delivery_change", args=[row.pk]) in html
        assert reverse("admin:offload_eventrecord_change", args=[row.event_id]) in html


def test_list__of_more_kinds_than_are_shown__promises_no_number(
    log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = log_in("discard_delivery")
    for fingerprint in ("e" * 16, "f" * 16):
        dead(2, fingerprint)
    assert "All 4" in shown(client, FAILURES)
    for module in "events.operations.failures.MOST", "events.admin.failures.MOST":
        monkeypatch.setattr(module, 1)
    html = shown(client, FAILURES)
    assert "All (at least 2)" in html
    assert "All 2" not in html


def test_group__of_nothing__says_so(log_in: LogIn) -> None:
    client = log_in()
    bury("1")
    for address in (group_page("nobody", "0" * 16), reverse("admin:offload_failure_group")):
        assert "No dead letter is of this kind" in shown(client, address)


def test_addresses__that_no_database_stores__find_nothing(log_in: LogIn) -> None:
    client = log_in("view_eventrecord", "view_pausedreceiver", "pause_queue")
    pages = {
        "failure_group": ("receiver", "fingerprint"),
        "failure_changelist": ("receiver", "queue", "type"),
        "delivery_changelist": ("receiver", "queue", "q"),
        "eventrecord_changelist": ("type", "q"),
    }
    for page, names in pages.items():
        for name in names:
            address = reverse(f"admin:offload_{page}")
            assert client.get(address, {name: "a\0b"}, follow=True).status_code == 200, (page, name)
    act = reverse("admin:offload_pausedreceiver_act")
    said = client.post(act, {"act": "pause", "names": "a\0b"}, follow=True)
    assert "No queue or receiver is called" in said.content.decode()


def test_index__leads_there_for_those_who_may_look(log_in: LogIn, client: Client) -> None:
    assert FAILURES in shown(log_in(), reverse("admin:index"))
    other = Client()
    other.force_login(User.objects.create_user("nobody", is_staff=True))
    assert FAILURES not in shown(other, reverse("admin:index"))


# --- Who may ------------------------------------------------------------------------------------------------


ADDRESSES = [("get", FAILURES), ("get", group_page(FRAGILE, "")), ("post", ACT), ("post", NOTE)]


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_page__who_may_not_look__is_refused_whatever_else_they_may(
    client: Client, method: str, address: str
) -> None:
    (row,) = bury("1")
    user = User.objects.create_user("blind", is_staff=True)
    names = ["redeliver_delivery", "discard_delivery", "note_delivery", "view_eventrecord", "view_action"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    data = {**kind(row), "act": "redeliver", "why": "x", "text": "x"}
    assert getattr(client, method)(address, data).status_code == 403
    assert not Action.objects.exists()


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_page__who_is_not_staff__is_sent_to_log_in(client: Client, method: str, address: str) -> None:
    client.force_login(User.objects.create_user("reader"))
    response = getattr(client, method)(address)
    assert response.status_code == 302
    assert "/login/" in response["Location"]


@pytest.mark.parametrize(
    ("act", "others"),
    [
        ("redeliver", ["discard_delivery", "note_delivery", "pause_queue"]),
        ("discard", ["redeliver_delivery", "note_delivery", "pause_queue"]),
        ("anything", ["redeliver_delivery", "discard_delivery", "note_delivery"]),
        ("", ["redeliver_delivery", "discard_delivery", "note_delivery"]),
    ],
)
def test_act__without_its_own_permission__is_refused(log_in: LogIn, act: str, others: list[str]) -> None:
    client = log_in(*others)
    (row,) = bury("1")
    for data in (kind(row), {"selected": "1", "keys": [str(row.pk)]}, {}):
        assert client.post(ACT, {**data, "act": act, "why": "x"}).status_code == 403
    assert Delivery.objects.get(pk=row.pk).state == State.DEAD
    assert not Action.objects.exists()


def test_note__without_its_own_permission__is_refused(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery", "discard_delivery")
    (row,) = bury("1")
    assert client.post(NOTE, {**kind(row), "text": "x"}).status_code == 403
    assert not Action.objects.exists()


def test_page__offers_only_what_one_may(log_in: LogIn) -> None:
    client = log_in("discard_delivery")
    (row,) = bury("1")
    for address in (FAILURES, group_page(FRAGILE, row.fingerprint)):
        html = shown(client, address)
        assert "Discard" in html
        assert "Redeliver" not in html
        assert "Add the note" not in html


def test_act__by_get__is_refused(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery")
    assert client.get(ACT).status_code == 405


def test_act__without_the_token__is_refused(log_in: LogIn) -> None:
    bury("1")
    log_in("redeliver_delivery")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ann"))
    assert strict.post(ACT, {"act": "redeliver"}).status_code == 403
    assert not Action.objects.exists()


# --- Acting -------------------------------------------------------------------------------------------------


def test_redeliver__a_kind__in_the_background(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery")
    rows = bury("1", "2", "a word")
    mend()
    data = {**kind(rows[0]), "act": "redeliver", "why": "mended"}
    response = client.post(ACT, data)
    job = Action.objects.get()
    assert response["Location"] == reverse("admin:offload_action_change", args=[job.pk])
    assert (job.by, job.what, job.total, job.count, job.why) == ("ann", "redelivered", 2, 0, "mended")
    assert drain() == Drained()
    finish(job)
    assert drain() == Drained(done=2)


def test_redeliver__a_filter_at_a_rate_the_first_alone(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery")
    dead(5)
    data = {"receiver": RECEIVER, "act": "redeliver", "rate": "2.5", "limit": "3", "first": "1"}
    client.post(ACT, data)
    job = Action.objects.get()
    assert (job.total, job.rate, job.first_alone, job.target) == (3, 2.5, True, f"of {RECEIVER}")


def test_redeliver__a_selection(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery")
    rows = bury("1", "2", "3")
    client.post(ACT, {**kind(rows[0]), "act": "redeliver", "selected": "1", "keys": [r.pk for r in rows[:2]]})
    job = Action.objects.get()
    finish(job)
    assert (job.total, job.count) == (2, 2)
    assert Delivery.objects.get(pk=rows[2].pk).state == State.DEAD


@pytest.mark.parametrize("keys", [[], ["x"], ["9" * 40], ["-1"], ["99999"]])
def test_redeliver__a_selection_of_nothing__is_not_all(log_in: LogIn, keys: list[str]) -> None:
    client = log_in("redeliver_delivery")
    (row,) = bury("1")
    client.post(ACT, {**kind(row), "act": "redeliver", "selected": "1", "keys": keys})
    assert not Action.objects.exists()
    assert Delivery.objects.get(pk=row.pk).state == State.DEAD


def test_discard__needs_a_reason(log_in: LogIn) -> None:
    client = log_in("discard_delivery")
    (row,) = bury("1")
    said = client.post(ACT, {**kind(row), "act": "discard", "why": " "}, follow=True).content.decode()
    assert "Say why" in said
    assert not Action.objects.exists()
    client.post(ACT, {**kind(row), "act": "discard", "why": "by hand"})
    finish(Action.objects.get())
    assert Delivery.objects.get(pk=row.pk).reason == "discarded by ann: by hand"


@pytest.mark.parametrize("wrong", [{"rate": "0"}, {"rate": "fast"}, {"limit": "-1"}, {"since": "never"}])
def test_act__what_makes_no_sense__is_said_and_nothing_done(log_in: LogIn, wrong: dict[str, str]) -> None:
    client = log_in("redeliver_delivery")
    bury("1")
    said = client.post(ACT, {"act": "redeliver", **wrong}, follow=True).content.decode()
    assert 'class="error"' in said
    assert not Action.objects.exists()


def test_note__is_shown_with_its_kind_and_counted(log_in: LogIn) -> None:
    client = log_in("note_delivery")
    (row,) = bury("1")
    said = client.post(NOTE, {**kind(row), "text": "the mail server is being moved"}, follow=True)
    assert "the mail server is being moved" in said.content.decode()
    assert Action.objects.get().by == "ann"
    client.post(NOTE, {**kind(row), "text": "  "})
    assert Action.objects.count() == 1


def test_delivery_list__many__are_left_to_the_relays(log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.admin.deliveries.BATCH", 2)
    client = log_in("redeliver_delivery")
    rows = bury("1", "2", "3")
    data = {"action": "redeliver", "_selected_action": [row.pk for row in rows], "why": "mended"}
    said = client.post(reverse("admin:offload_delivery_changelist"), data, follow=True).content.decode()
    job = Action.objects.get()
    assert reverse("admin:offload_action_change", args=[job.pk]) in said
    assert (job.total, job.why) == (3, "mended")


# --- A job's page -------------------------------------------------------------------------------------------


def job_of(count: int) -> Action:
    dead(count)
    return start("default", Chosen(receiver=RECEIVER), "redelivered", by="ann", rate=1)


def test_job__tells_how_far_it_is(log_in: LogIn) -> None:
    client = log_in()
    job = job_of(3)
    work("default")
    address = reverse("admin:offload_action_progress", args=[job.pk])
    assert client.get(address).json() == {
        "state": "running", "count": 1, "passed": 1, "total": 3, "outcome": "",
    }  # fmt: skip
    html = shown(client, reverse("admin:offload_action_change", args=[job.pk]))
    assert 'max="3" value="1"' in html
    assert "events/progress.js" in html


@pytest.mark.parametrize("turn", ["stop", "go_on"])
def test_job__is_turned_by_those_who_might_have_asked_for_it(log_in: LogIn, turn: str) -> None:
    client = log_in("discard_delivery", "note_delivery")
    job = job_of(3)
    address = reverse("admin:offload_action_turn", args=[job.pk])
    assert client.post(address, {"turn": turn}).status_code == 403
    user = User.objects.get(username="ann")
    user.user_permissions.add(Permission.objects.get(codename="redeliver_delivery"))
    assert client.get(address).status_code == 405
    assert client.post(address, {"turn": "over"}).status_code == 404
    client.post(address, {"turn": "stop"})
    job.refresh_from_db()
    assert (job.state, job.outcome) == ("stopped", "stopped by ann")
    client.post(address, {"turn": "go_on"})
    job.refresh_from_db()
    assert job.state == "running"
    done = Action.objects.exclude(pk=job.pk).order_by("pk").values_list("by", "what")
    assert list(done) == [("ann", "stopped"), ("ann", "let go on")]


def test_job__who_may_not_look__is_refused(client: Client) -> None:
    job = job_of(1)
    user = User.objects.create_user("blind", is_staff=True)
    names = ["discard_delivery", "replay_eventrecord", "view_delivery"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    assert client.get(reverse("admin:offload_action_progress", args=[job.pk])).status_code == 403
    turn = reverse("admin:offload_action_turn", args=[job.pk])
    assert client.post(turn, {"turn": "stop"}).status_code == 403


# --- Escaping, and the cost ---------------------------------------------------------------------------------


def test_everything_is_escaped(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery", "note_delivery", "view_eventrecord")
    (row,) = bury(SCRIPT)
    Delivery.objects.filter(pk=row.pk).update(error=f"{SCRIPT}\n{SCRIPT}")
    note("default", FRAGILE, row.fingerprint, SCRIPT, by=SCRIPT)
    job = start("default", Chosen(receiver=FRAGILE), "redelivered", by=SCRIPT, why=SCRIPT)
    Action.objects.filter(pk=job.pk).update(outcome=SCRIPT, target=SCRIPT)
    pages = [
        f"{FAILURES}?receiver={FRAGILE}",
        f"{FAILURES}?since={SCRIPT}&type={SCRIPT}",
        group_page(FRAGILE, row.fingerprint),
        group_page(SCRIPT, SCRIPT),
        reverse("admin:offload_action_changelist"),
        reverse("admin:offload_action_change", args=[job.pk]),
    ]
    for address in pages:
        html = shown(client, address)
        assert SCRIPT not in html, address
        assert "&lt;script&gt;" in html, address


def asked(client: Client, address: str) -> list[str]:
    """The statements about rows of ours."""
    with statements() as made:
        shown(client, address)
    return [statement for statement in made if "offload_" in statement]


def test_pages__make_as_many_statements_however_much_there_is(log_in: LogIn) -> None:
    client = log_in("redeliver_delivery", "discard_delivery", "note_delivery")
    counts = []
    for size in (3, 60):
        for number in range(size):
            dead(2, f"{number:016}")
        note("default", RECEIVER, "0" * 16, "a note", by="ann")
        counts.append([len(asked(client, FAILURES)), len(asked(client, group_page(RECEIVER, "0" * 16)))])
    # Kinds, samples, notes, queues; kind, sample, rows, story.
    assert counts == [[4, 4], [4, 4]]


@pytest.mark.skipif(connection.vendor == "mysql", reason="it has no partial indexes: see test_engines")
@pytest.mark.django_db(transaction=True)
def test_pages__with_many_others__read_the_dead_alone(log_in: LogIn) -> None:
    client = log_in()
    store_many(10)
    dead(20)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for address in (FAILURES, group_page(RECEIVER, "f" * 16)):
        plans = plans_of(lambda address=address: shown(client, address))  # type: ignore[misc]
        assert plans
        for sql, text in plans.items():
            assert not reads_all(text), f"{sql}\n{text}"
