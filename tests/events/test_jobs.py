"""Dead letters by the thousand: in small steps, at a rate, the first one first, whatever is restarted meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from events import pauses
from events.clock import after
from events.models import Action, Delivery, EventRecord, State
from events.operations.failures import groups
from events.operations.jobs import NothingChosen, go_on, start, stop
from events.relay import jobs
from events.relay.jobs import Chosen, work
from events.relay.loop import EVERY, Relay
from events.testing import Drained, drain
from tests.events.ageing import store
from tests.events.conftest import Offloaded
from tests.events.operating import FRAGILE, break_again, broker_away, bury, mend, offload_fragile, run
from tests.events.plans import plans_of, reads_all
from tests.events.queries import statements

pytestmark = pytest.mark.django_db

RECEIVER = "tests.first"


@pytest.fixture(autouse=True)
def one_database(settings: Settings, offloaded: Offloaded) -> Iterator[None]:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("default",)}
    offload_fragile(offloaded)
    yield
    pauses._known.clear()


def dead(count: int, fingerprint: str = "f" * 16, receiver: str = RECEIVER) -> list[Delivery]:
    events = store(count, states=())
    rows = [
        Delivery(
            event=event,
            receiver=receiver,
            queue="default",
            state=State.DEAD,
            finished_at=timezone.now(),
            fingerprint=fingerprint,
            error=f"ValueError: no user {number}",
        )
        for number, event in enumerate(events)
    ]
    return Delivery.objects.bulk_create(rows)


def step(job: Action) -> Action:
    """One step of it, whatever the clock says."""
    Action.objects.filter(pk=job.pk, state=Action.State.RUNNING).update(next_at=Now())
    work("default")
    job.refresh_from_db()
    return job


def finish(job: Action) -> int:
    """How many steps it took."""
    steps = 0
    while job.state == Action.State.RUNNING:
        step(job)
        steps += 1
        assert steps < 100
    return steps


def waiting() -> int:
    return Delivery.objects.filter(state=State.WAITING).count()


def test_job__works_off_a_group_in_steps() -> None:
    ours, others = dead(1_100), dead(3, "e" * 16)
    job = start("default", Chosen(receiver=RECEIVER, fingerprint="f" * 16), "redelivered", by="ann")
    assert (job.total, job.target) == (1_100, f"group {'f' * 16} of {RECEIVER}")
    assert waiting() == 0
    assert finish(job) == 3
    assert (job.state, job.count, job.passed) == (Action.State.DONE, 1_100, 1_100)
    assert waiting() == len(ours)
    assert Delivery.objects.filter(state=State.DEAD).count() == len(others)


def test_job__one_bad_id_stops_nothing() -> None:
    rows = dead(10)
    EventRecord.objects.filter(pk__in=[rows[0].event_id, rows[4].event_id])._raw_delete("default")
    job = start("default", Chosen(keys=(*(row.pk for row in rows), 999_999)), "redelivered", by="ann")
    finish(job)
    assert (job.state, job.count, job.passed) == (Action.State.DONE, 8, 10)


def test_job__at_a_rate__takes_as_many_as_a_second_allows_and_waits() -> None:
    dead(25)
    job = start("default", Chosen(receiver=RECEIVER), "redelivered", by="ann", rate=10)
    assert work("default")
    # Not due again before a second is over.
    assert not Action.objects.filter(next_at__lte=after(0.5)).exists()
    assert waiting() == 10
    assert finish(job) == 2
    assert waiting() == 25


def test_job__less_than_one_a_second() -> None:
    dead(2)
    start("default", Chosen(receiver=RECEIVER), "redelivered", by="ann", rate=0.01)
    work("default")
    assert waiting() == 1
    assert Action.objects.filter(next_at__gt=after(90), next_at__lt=after(110)).exists()


def test_job__limit__the_oldest_first() -> None:
    rows = dead(5)
    finish(start("default", Chosen(receiver=RECEIVER), "redelivered", by="ann", limit=2))
    assert {row.pk for row in Delivery.objects.filter(state=State.WAITING)} == {row.pk for row in rows[:2]}


def test_job__what_dies_again_is_not_tried_again_by_it() -> None:
    bury("1", "2")
    job = start("default", Chosen(receiver=FRAGILE), "redelivered", by="ann", rate=1)
    step(job)
    assert drain() == Drained(retrying=1, dead=1)
    # It died in the very moment of asking, as far as anybody can tell.
    Delivery.objects.update(finished_at=job.at)
    finish(job)
    assert (job.count, drain()) == (2, Drained(retrying=1, dead=1))
    # Twice before, and twice each since.
    assert [len(row.failures) for row in Delivery.objects.order_by("pk")] == [4, 4]


def test_job__what_dies_later_than_it_was_asked_for__takes_nobodys_place() -> None:
    late, asked = dead(2), dead(3)
    Delivery.objects.filter(pk__in=[row.pk for row in late]).update(state=State.WAITING, finished_at=None)
    job = start("default", Chosen(receiver=RECEIVER), "redelivered", by="ann")
    Delivery.objects.filter(state=State.WAITING).update(state=State.DEAD, finished_at=after(60))
    finish(job)
    assert (job.total, job.count) == (3, 3)
    assert {row.pk for row in Delivery.objects.filter(state=State.WAITING)} == {row.pk for row in asked}


def test_job__discards_with_its_reason() -> None:
    dead(3)
    job = start("default", Chosen(receiver=RECEIVER), "discarded", by="ann", why="closed")
    finish(job)
    reasons = Delivery.objects.filter(state=State.SKIPPED).values_list("reason", flat=True)
    assert list(reasons) == ["discarded by ann: closed"] * 3


# --- The first one first ------------------------------------------------------------------------------------


def test_first_alone__the_rest_follows_when_it_has_succeeded() -> None:
    bury("1", "2", "3")
    mend()
    job = start("default", Chosen(receiver=FRAGILE), "redelivered", by="ann", first_alone=True)
    step(job)
    assert (job.count, waiting()) == (1, 1)
    # As long as it has not run, nothing follows.
    step(job)
    assert (job.count, waiting()) == (1, 1)
    assert drain() == Drained(done=1)
    finish(job)
    assert (job.state, job.count) == (Action.State.DONE, 3)
    assert drain() == Drained(done=2)


def test_first_alone__it_fails_again__nothing_follows_until_somebody_says_so() -> None:
    bury("1", "2", "3")
    job = start("default", Chosen(receiver=FRAGILE), "redelivered", by="ann", first_alone=True)
    step(job)
    drain()
    step(job)
    assert (job.state, job.count) == (Action.State.STOPPED, 1)
    assert "failed again: ValueError: not mended: 1" in job.outcome
    mend()
    assert go_on("default", job.pk, by="bob")
    job.refresh_from_db()
    finish(job)
    assert (job.state, job.count, drain()) == (Action.State.DONE, 3, Drained(done=2))


def test_first_alone__a_careful_one__its_try_is_counted_before_it_runs_and_is_no_failure() -> None:
    bury("1", "2", "3")
    Delivery.objects.update(careful=True)
    mend()
    job = start("default", Chosen(receiver=FRAGILE), "redelivered", by="ann", first_alone=True)
    step(job)
    first = Delivery.objects.filter(pk=job.first)
    first.update(state=State.RUNNING, tries=1)
    assert step(job).state == Action.State.RUNNING
    first.update(state=State.WAITING, tries=0)
    assert drain() == Drained(done=1)
    assert first.get().tries == 1
    finish(job)
    assert (job.state, job.count, job.outcome) == (Action.State.DONE, 3, "")


def test_first_alone__of_one() -> None:
    bury("1")
    mend()
    job = start("default", Chosen(receiver=FRAGILE), "redelivered", by="ann", first_alone=True)
    step(job)
    assert job.state == Action.State.RUNNING
    drain()
    finish(job)
    assert (job.state, job.count) == (Action.State.DONE, 1)


# --- Stopped, restarted, shared -----------------------------------------------------------------------------


def test_stop__what_is_done_is_done_and_nothing_follows() -> None:
    dead(20)
    job = start("default", Chosen(receiver=RECEIVER), "redelivered", by="ann", rate=5)
    step(job)
    assert stop("default", job.pk, by="bob")
    assert not stop("default", job.pk, by="bob")
    step(job)
    assert (job.state, job.count, job.outcome, waiting()) == (Action.State.STOPPED, 5, "stopped by bob", 5)
    assert go_on("default", job.pk, by="bob")
    job.refresh_from_db()
    finish(job)
    assert waiting() == 20


@pytest.mark.django_db(transaction=True)
def test_step__killed_in_the_middle__is_as_if_never_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    dead(20)
    job = start("default", Chosen(receiver=RECEIVER), "redelivered", by="ann")

    def killed(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Action, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            work("default")
    job.refresh_from_db()
    assert (job.count, waiting()) == (0, 0)
    finish(job)
    assert (job.count, waiting()) == (20, 20)


@pytest.mark.parametrize("by_key", [False, True])
def test_start__twice_by_a_double_click__is_one_job(*, by_key: bool) -> None:
    rows = dead(4)
    chosen = Chosen(keys=tuple(row.pk for row in rows)) if by_key else Chosen(receiver=RECEIVER)
    first = start("default", chosen, "redelivered", by="ann", rate=1, first_alone=True)
    assert start("default", chosen, "redelivered", by="ann", rate=1, first_alone=True) == first
    step(first)
    assert start("default", chosen, "redelivered", by="ann", rate=1, first_alone=True) == first
    assert Action.objects.count() == 1


def test_start__what_is_not_the_same__is_another_job() -> None:
    dead(4)
    chosen = Chosen(receiver=RECEIVER)
    first = start("default", chosen, "redelivered", by="ann", rate=1, limit=2)
    others = [
        start("default", chosen, "redelivered", by="ann", rate=1),
        start("default", chosen, "redelivered", by="ann", rate=2),
        start("default", chosen, "redelivered", by="bob", rate=1),
        start("default", chosen, "discarded", by="ann", rate=1),
        start("default", Chosen(), "redelivered", by="ann", rate=1),
    ]
    assert len({first, *others}) == 6
    stop("default", others[0].pk, by="ann")
    assert start("default", chosen, "redelivered", by="ann", rate=1) not in {first, *others}


def test_step__fails__stops_its_job_and_says_why__the_others_have_their_turn() -> None:
    dead(5)
    broken = start("default", Chosen(receiver=RECEIVER), "redelivered", by="ann")
    Action.objects.update(chosen={"of": "another version"}, next_at=after(-60))
    job = start("default", Chosen(receiver=RECEIVER), "redelivered", by="bob")
    assert work("default")
    broken.refresh_from_db()
    assert (broken.state, broken.count) == (Action.State.STOPPED, 0)
    assert "It failed: KeyError('since')" in broken.outcome
    assert finish(job) == 1
    assert waiting() == 5


@pytest.mark.django_db(transaction=True)
def test_step__the_database_refuses__holds_up_no_round(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(using: str) -> bool:
        raise OperationalError("deadlock detected")

    monkeypatch.setattr(jobs, "work", refuse)
    with broker_away():
        assert Relay()._round() == EVERY
    assert "events.job alias=default error=OperationalError('deadlock detected')" in caplog.text


def test_start__nothing_fits__is_an_error() -> None:
    with pytest.raises(NothingChosen):
        start("default", Chosen(receiver=RECEIVER), "redelivered", by="ann")
    with pytest.raises(NothingChosen):
        start("default", Chosen(keys=()), "redelivered", by="ann")
    assert not Action.objects.exists()


def test_chosen__comes_back_from_its_row_as_it_was() -> None:
    now = timezone.now()
    for chosen in (
        Chosen(),
        Chosen(keys=(1, 2)),
        Chosen(receiver="r", fingerprint="", queue="q", type="t", since=now, until=now),
    ):
        assert Chosen.load(chosen.dump()) == chosen


def test_chosen__by_time_queue_and_type() -> None:
    old, new = dead(1), dead(1)
    Delivery.objects.filter(pk=old[0].pk).update(finished_at=timezone.now() - timedelta(days=3))
    day = timezone.now() - timedelta(days=1)
    for chosen, expected in {
        Chosen(since=day): new,
        Chosen(until=day): old,
        Chosen(queue="default", type="tests.happened"): [*old, *new],
        Chosen(queue="audit"): [],
        Chosen(type="another"): [],
    }.items():
        assert list(chosen.rows("default").order_by("pk")) == expected


# --- The command line ---------------------------------------------------------------------------------------


def test_retry__group_at_a_rate__without_any_relay() -> None:
    bury("1", "2")
    kind = groups("default")[0].fingerprint
    assert kind in run("failed")
    said = run("retry", "--group", kind, "--rate", 1000, "--as", "ann")
    assert "2 deliveries redelivered." in said
    job = Action.objects.get()
    assert (job.by, job.state, job.rate, job.count) == ("ann (command line)", Action.State.DONE, 1000.0, 2)


def test_retry__background__is_left_to_the_relays() -> None:
    bury("1", "2")
    run("retry", "--receiver", FRAGILE, "--first", "--background", "--limit", 1)
    job = Action.objects.get()
    assert (job.state, job.total, job.first_alone, waiting()) == (Action.State.RUNNING, 1, True, 0)


def test_retry__unknown_group__is_an_error() -> None:
    with pytest.raises(CommandError, match="No dead letter fits"):
        run("retry", "--group", "0" * 16, "--rate", 5)


def test_failed__of_no_kind__names_a_command_that_finds_it() -> None:
    dead(1, fingerprint="")
    found = re.search(r"Next: manage.py events (retry --.*) --rate 10", run("failed"))
    assert found
    assert found[1] == f"retry --receiver {RECEIVER} --first"
    run(*found[1].split(), "--background")
    assert Action.objects.get().total == 1


def test_failed__of_a_group() -> None:
    (row,) = bury("1")
    dead(1)
    said = run("failed", "--group", row.fingerprint)
    assert "not mended: 1" in said
    assert "no user" not in said
    assert "There are no dead letters in group 0000" in run("failed", "--group", "0000")


def test_discard__asks_why_and_keeps_it() -> None:
    (row,) = bury("1")
    with pytest.raises(CommandError, match="Say why"):
        run("discard", row.pk)
    assert "1 delivery discarded." in run("discard", row.pk, "--why", "by hand", "--as", "ann")
    assert Delivery.objects.get(pk=row.pk).reason == "discarded by ann (command line): by hand"
    assert Action.objects.get().why == "by hand"


# --- Kinds of failure ---------------------------------------------------------------------------------------


def test_groups__by_receiver_and_kind__the_largest_first() -> None:
    few, many = dead(2, "a" * 16), dead(5, "b" * 16)
    dead(1, "b" * 16, receiver="tests.second")
    found = groups("default")
    assert [(g.receiver, g.fingerprint, g.count) for g in found] == [
        (RECEIVER, "b" * 16, 5),
        (RECEIVER, "a" * 16, 2),
        ("tests.second", "b" * 16, 1),
    ]
    assert [g.sample for g in found[:2]] == [many[-1], few[-1]]
    assert found[0].title == "ValueError: no user <n>"
    assert found[0].first is not None
    assert found[0].first <= found[0].last


def test_failure__is_of_its_kind_whatever_it_names() -> None:
    assert len({row.fingerprint for row in bury("1", "22", "a@b.example")}) == 2


def test_failure__each_try_is_remembered() -> None:
    (row,) = bury("1")
    assert [each["error"] for each in row.failures] == ["ValueError: not mended: 1"] * 2
    break_again()
    Delivery.objects.update(failures=[{"at": "", "attempt": 0, "worker": "", "error": "old"}] * 20)
    run("retry", row.pk)
    drain()
    again = Delivery.objects.get(pk=row.pk).failures
    assert len(again) == 20
    assert [each["error"] for each in again[-3:]] == ["old", *["ValueError: not mended: 1"] * 2]


def test_failures__are_blanked_when_a_person_is_forgotten() -> None:
    from events.operations.forgetting import _stop

    (row,) = bury("Ann Example")
    _stop("default", [row.event_id])
    row.refresh_from_db()
    assert (row.error, row.failures) == ("", None)


# --- With a million others ----------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor == "mysql", reason="it has no partial indexes: see test_engines")
@pytest.mark.django_db(transaction=True)
def test_groups_and_steps__read_the_dead_alone() -> None:
    from tests.events.ageing import store_many

    store_many(10)
    dead(20)
    job = start("default", Chosen(receiver=RECEIVER, fingerprint="f" * 16), "redelivered", by="ann", rate=5)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for action in (lambda: groups("default"), lambda: step(job)):
        plans = plans_of(action)
        assert any("offload_delivery_dead" in text for text in plans.values()), plans
        for sql, text in plans.items():
            assert not reads_all(text), f"{sql}\n{text}"


def test_work__nothing_to_do__asks_once() -> None:
    with statements() as made:
        assert not work("default")
    assert len(made) == 1, made


def test_step__of_any_size__makes_as_many_statements() -> None:
    counts = []
    for size in (2, 400):
        dead(size, f"{size:016}")
        job = start("default", Chosen(receiver=RECEIVER, fingerprint=f"{size:016}"), "redelivered", by="ann")
        with statements() as made:
            step(job)
        counts.append(len(made))
    assert counts[0] == counts[1]
