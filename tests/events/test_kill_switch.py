"""A receiver that fails nearly always is parked, uses no more tries, and is probed until it recovers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection
from django.db.models.functions import Now
from pytest_django import Settings

from events import Backoff, Event, Skip, pauses
from events.delivery import chunk, claim, kill_switch
from events.delivery.consuming import consume
from events.delivery.kill_switch import park
from events.delivery.tally import Tally
from events.fast_path import fast_path
from events.message import Message
from events.models import Action, Delivery, EventRecord, PausedReceiver, State
from events.notices import receiver_parked, receiver_recovered
from events.operations.diagnosing import diagnose
from events.operations.pausing import Target, pause, resume
from events.registry import registry
from events.relay.feeding import feed
from events.relay.materialising import materialise
from events.testing import captured_events, drain
from tests.events.conftest import Offloaded
from tests.events.operating import break_again, broker_away, mend, run
from tests.events.queries import statements
from tests.shop.models import Effect, Item, Unique

pytestmark = pytest.mark.django_db(transaction=True)

mailed = Event("tests.mailed", number=int)
mailed_to = Event("tests.mailed_to", item=Item)
NAME = "tests.events.test_kill_switch.send_mail"
RUNS = 20
WORST = Backoff(first=0, factor=1, tries=50)


def send_mail(sender: Any, number: int, event: Any, **kwargs: Any) -> None:
    if Unique.objects.filter(name="nobody there").exists():
        raise Skip("nobody there")
    if not Unique.objects.filter(name="mended").exists():
        raise ConnectionRefusedError("no mail server")
    Effect.objects.create(receiver="send_mail", key=event.idempotency_key, note=f"{number}")


def send_mails(occurrences: list[Any]) -> None:
    for occurrence in occurrences:
        send_mail(None, occurrence.number, occurrence.event)


def send_to(sender: Any, item: Item, event: Any, **kwargs: Any) -> None:
    send_mail(sender, item.pk, event)


def told(sender: Any, **kwargs: Any) -> None:
    Effect.objects.create(receiver="told", key=kwargs["receiver"], note=kwargs.get("reason", "recovered"))


@pytest.fixture(autouse=True)
def nothing_seen(settings: Settings) -> Iterator[None]:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("default",)}
    kill_switch._last.clear()
    pauses._known.clear()
    with fast_path.suspended():
        yield
    kill_switch._last.clear()
    pauses._known.clear()


@pytest.fixture(params=["atomic", "outside", "many"])
def kind(request: pytest.FixtureRequest, offloaded: Offloaded) -> str:
    if request.param == "many":
        offloaded(send_mails, mailed, atomic=False, retry=WORST, many=True, name=NAME)
    else:
        offloaded(send_mail, mailed, atomic=request.param == "atomic", retry=WORST)
    return str(request.param)


def emit(count: int) -> None:
    for number in range(count):
        mailed.send(None, number=number)


def due(*, all_at_once: bool = True) -> list[Message]:
    """What a relay would send now."""
    while materialise("default", frozenset()):
        pass
    if all_at_once:
        Delivery.objects.filter(state=State.WAITING).update(next_at=Now())
    messages: list[Message] = []
    pauses.current("default", fresh=0)
    feed("default", "default", 99, frozenset([NAME]), messages.extend)
    return messages


def work(messages: list[Message]) -> Tally:
    total = Tally()
    for message in messages:
        total.add(consume(message, watched=True))
    return total


def tries() -> int:
    return sum(Delivery.objects.filter(receiver=NAME).values_list("tries", flat=True))


def probe_is_due() -> None:
    PausedReceiver.objects.update(probe_at=Now())


# --- Parked -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("kind")
def test_parked__after_so_many_failures__in_the_middle_of_a_message_and_the_rest_uses_no_try() -> None:
    emit(80)
    (message,) = due()
    assert len(message.ids) == 80
    assert work([message]) == Tally(retrying=RUNS, elsewhere=60)
    assert tries() == RUNS
    row = PausedReceiver.objects.get()
    assert (row.name, row.by) == (NAME, "kill switch")
    assert "20 of its last 20 runs failed" in row.why
    assert "no mail server" in row.why
    assert row.probe_at is not None
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.WAITING}
    # Nothing of it is sent any more.
    assert due() == []
    assert tries() == RUNS


@pytest.mark.usefixtures("kind")
def test_parked__messages_on_their_way_are_put_back_without_a_try() -> None:
    emit(RUNS)
    first = due()
    emit(5)
    second = due()
    work(first)
    assert tries() == RUNS
    assert work(second) == Tally(elsewhere=5)
    assert tries() == RUNS
    # So is one that its emitter publishes, who doesn't know yet.
    emit(1)
    event = EventRecord.objects.latest("pk")
    message = replace(second[0], ids=(str(event.pk),), envelopes=(event.envelope,), attempts=(0,))
    assert consume(message, watched=True) == Tally(elsewhere=1)
    assert Delivery.objects.get(event=event).state == State.WAITING


@pytest.mark.usefixtures("kind")
def test_not_parked__while_enough_succeed() -> None:
    mend()
    emit(4)
    assert work(due()).done == 4
    break_again()
    # Sixteen of twenty are four fifths, and not more.
    emit(16)
    assert work(due()).retrying == 16
    assert not PausedReceiver.objects.exists()
    emit(1)
    work([message for message in due() if message][:1])
    assert PausedReceiver.objects.exists()


def test_not_parked__outside_a_worker(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed, retry=Backoff(first=0, factor=1, tries=1))
    emit(60)
    assert drain().dead == 60
    assert not PausedReceiver.objects.exists()
    assert not kill_switch._last


def test_not_parked__where_the_settings_say_never(settings: Settings, offloaded: Offloaded) -> None:
    settings.EVENTS = settings.EVENTS | {"KILL_SWITCH_SHARE": None}
    offloaded(send_mail, mailed, retry=WORST)
    emit(60)
    assert work(due()).retrying == 60
    assert not PausedReceiver.objects.exists()


def test_not_parked__by_failures_of_long_ago(offloaded: Offloaded, monkeypatch: pytest.MonkeyPatch) -> None:
    offloaded(send_mail, mailed, retry=WORST)
    emit(19)
    work(due())
    now = kill_switch.time.monotonic()
    monkeypatch.setattr(kill_switch.time, "monotonic", lambda: now + 301)
    Delivery.objects.all().delete()
    emit(1)
    assert work(due()).retrying == 1
    assert not PausedReceiver.objects.exists()


def test_parked__by_another_process_too__is_told_once(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed)
    receiver = registry.get(NAME)
    assert park("default", receiver, "one")
    assert park("default", receiver, "another")
    assert [row.why for row in Action.objects.all()] == ["one"]
    assert PausedReceiver.objects.get().why == "one"


def test_parked__the_database_is_away__the_next_failure_asks_again(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed, retry=WORST)
    emit(RUNS + 1)

    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if "INSERT" in sql and "offload_paused_receiver" in sql:
            raise DatabaseError("away")
        return execute(sql, *rest)

    first, *_ = due()
    with connection.execute_wrapper(refuse):
        work([first])
    assert not PausedReceiver.objects.exists()
    work(due())
    assert PausedReceiver.objects.exists()


# --- Told ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True, databases=["default", "other"])  # Django 6.1 asks each what it can
def test_parked_and_recovered__are_told_and_shown(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed, retry=WORST)
    offloaded(told, receiver_parked, name="tests.parked")
    offloaded(told, receiver_recovered, name="tests.recovered")
    emit(30)
    with captured_events() as events:
        work(due())
    events.assert_emitted("events.receiver_parked", times=1)
    with broker_away():
        assert f"parked: {NAME}: 20 of its last 20 runs failed" in run("status")
        parked = [finding for finding in diagnose() if "is parked" in finding.what]
    assert [finding.level for finding in parked] == ["error"]
    mend()
    probe_is_due()
    with captured_events() as events:
        work(due())
    events.assert_emitted("events.receiver_recovered", times=1)
    drain()
    assert (
        list(Effect.objects.filter(receiver="told").order_by("pk").values_list("key", flat=True))
        == [NAME] * 2
    )
    done = Action.objects.order_by("pk").values_list("by", "what", "target")
    assert list(done) == [
        ("kill switch", "parked", f"receiver {NAME}"),
        ("kill switch", "resumed", f"receiver {NAME}"),
    ]


# --- Probed -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("kind")
def test_probe__one_delivery_at_its_time__and_when_it_fails_it_alone_has_used_a_try() -> None:
    emit(50)
    work(due())
    assert due() == []
    probe_is_due()
    (probe,) = due()
    assert len(probe.ids) == 1
    # The next one isn't due yet.
    assert due() == []
    assert work([probe]) == Tally(retrying=1)
    assert tries() == RUNS + 1
    assert PausedReceiver.objects.exists()
    # What isn't the probe is put back, though it looks like one.
    other = Delivery.objects.exclude(event_id=probe.ids[0]).select_related("event").earliest("pk")
    Delivery.objects.filter(pk=other.pk).update(state=State.SENT, attempt=other.attempt + 1)
    message = replace(
        probe,
        ids=(str(other.event_id),),
        envelopes=(other.event.envelope,),
        attempts=(other.attempt + 1,),
    )
    assert work([message]) == Tally(elsewhere=1)
    assert tries() == RUNS + 1


@pytest.mark.usefixtures("kind")
def test_probe__that_succeeds__lets_all_go_on() -> None:
    emit(50)
    work(due())
    mend()
    probe_is_due()
    assert work(due()) == Tally(done=1)
    assert not PausedReceiver.objects.exists()
    assert work(due()) == Tally(done=49)
    assert Effect.objects.count() == 50
    assert tries() == RUNS


def refuse_to_listen(**kwargs: Any) -> None:
    raise ValueError("whoever is told fails")


@pytest.mark.usefixtures("kind")
def test_parked_and_recovered__whoever_is_told_fails__is_the_same() -> None:
    receiver_parked.connect(refuse_to_listen)
    receiver_recovered.connect(refuse_to_listen)
    try:
        emit(80)
        assert work(due()) == Tally(retrying=RUNS, elsewhere=60)
        mend()
        probe_is_due()
        assert work(due()) == Tally(done=1)
        assert not PausedReceiver.objects.exists()
    finally:
        receiver_parked.disconnect(refuse_to_listen)
        receiver_recovered.disconnect(refuse_to_listen)


@pytest.mark.usefixtures("kind")
def test_probe__that_succeeds__the_database_refuses_to_let_all_go_on__the_next_probe_asks_again() -> None:
    emit(80)
    work(due())
    mend()

    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("DELETE") and "offload_paused_receiver" in sql:
            raise DatabaseError("away")
        return execute(sql, *rest)

    probe_is_due()
    messages = due()
    with connection.execute_wrapper(refuse):
        assert work(messages) == Tally(done=1)
    assert PausedReceiver.objects.exists()
    probe_is_due()
    assert work(due()) == Tally(done=1)
    assert not PausedReceiver.objects.exists()


def anybody_there(*, is_so: bool) -> None:
    Unique.objects.filter(name="nobody there").delete()
    if not is_so:
        Unique.objects.create(name="nobody there")


@pytest.mark.usefixtures("kind")
def test_probe__that_is_skipped__is_no_answer__and_another_follows_at_once() -> None:
    emit(50)
    work(due())
    anybody_there(is_so=False)
    probe_is_due()
    # One at a time, each at once after the last; however many are skipped, it stays parked.
    for _ in range(5):
        (probe,) = due()
        assert due() == []
        assert work([probe]) == Tally(skipped=1)
        assert PausedReceiver.objects.exists()
    anybody_there(is_so=True)
    assert work(due()) == Tally(retrying=1)
    # That one is an answer: the next follows at its time.
    assert due() == []
    assert tries() == RUNS + 1
    mend()
    probe_is_due()
    assert work(due()) == Tally(done=1)
    assert not PausedReceiver.objects.exists()


@pytest.mark.parametrize("atomic", [True, False])
def test_probe__whose_row_is_gone__is_no_answer(offloaded: Offloaded, *, atomic: bool) -> None:
    offloaded(send_to, mailed_to, atomic=atomic, name=NAME)
    items = [Item.objects.create(title=f"{number}") for number in range(2)]
    drain()
    for item in items:
        mailed_to.send(None, item=item)
    park("default", registry.get(NAME), "a reason")
    items[0].delete()
    mend()
    probe_is_due()
    assert work(due()) == Tally(skipped=1)
    assert PausedReceiver.objects.exists()
    assert work(due()) == Tally(done=1)
    assert not PausedReceiver.objects.exists()


@pytest.mark.usefixtures("kind")
def test_probe__skipped_after_another_was_sent__hurries_nothing() -> None:
    emit(50)
    work(due())
    anybody_there(is_so=False)
    probe_is_due()
    (late,) = due()
    probe_is_due()
    (probe,) = due()
    kill_switch.probe_another("default", registry.get(NAME), UUID(late.ids[0]))
    assert due() == []
    assert work([probe]) == Tally(skipped=1)
    assert len(due()) == 1


@pytest.mark.usefixtures("kind")
def test_probe__skipped_and_the_database_refuses__the_next_follows_at_its_time() -> None:
    emit(50)
    work(due())
    anybody_there(is_so=False)
    probe_is_due()
    messages = due()

    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and "offload_paused_receiver" in sql:
            raise DatabaseError("away")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse):
        assert work(messages) == Tally(skipped=1)
    assert due() == []
    assert PausedReceiver.objects.exists()


def test_runs__counted_while_other_threads_of_the_pool_count_theirs(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed)
    switch = kill_switch.KillSwitch(registry.get(NAME), "default")
    switch.worked(RUNS)
    last = kill_switch._last[NAME, "default"]
    seen = switch._note(failed=False, runs=1)
    for _ in seen:
        # As another thread does, between any two steps of this one.
        last.append((0.0, False))
    assert len(seen) == RUNS


def test_probe__nothing_is_due__it_stays_parked_and_is_probed_by_the_next_event(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed)
    park("default", registry.get(NAME), "a reason")
    probe_is_due()
    assert due() == []
    mend()
    emit(1)
    assert work(due()) == Tally(done=1)
    assert not PausedReceiver.objects.exists()


def test_probe__two_relays__one_is_sent(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed)
    emit(3)
    park("default", registry.get(NAME), "a reason")
    probe_is_due()
    assert [len(message.ids) for message in [*due(), *due(), *due()]] == [1]


def test_probe__of_a_paused_queue__is_not_run(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed)
    mend()
    emit(1)
    park("default", registry.get(NAME), "a reason")
    probe_is_due()
    messages = due()
    pause("default", Target("queue", "default"), by="ann")
    assert work(messages) == Tally(elsewhere=1)


def test_relay__nothing_parked__asks_nothing_more(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed)
    pauses.current("default", fresh=0)
    with statements() as made:
        feed("default", "default", 9, frozenset(registry.names()), [].extend)
    assert not [statement for statement in made if "paused" in statement]


# --- A person's word ----------------------------------------------------------------------------------------


def test_person__pauses_what_is_parked__and_nothing_is_let_through(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed)
    emit(2)
    park("default", registry.get(NAME), "a reason")
    assert pause("default", Target("receiver", NAME), by="ann", why="leave it")
    row = PausedReceiver.objects.get()
    assert (row.by, row.why, row.probe_at) == ("ann", "leave it", None)
    assert due() == []
    assert resume("default", Target("receiver", NAME), by="ann")
    mend()
    assert work(due()) == Tally(done=2)


def test_person__resumes_what_is_parked(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed, retry=WORST)
    emit(30)
    work(due())
    mend()
    assert resume("default", Target("receiver", NAME), by="ann")
    assert work(due()) == Tally(done=30)


def test_person__has_paused_it__a_late_failure_parks_nothing(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed, retry=WORST)
    pause("default", Target("receiver", NAME), by="ann", why="mine")
    assert park("default", registry.get(NAME), "a reason")
    row = PausedReceiver.objects.get()
    assert (row.by, row.why, row.probe_at) == ("ann", "mine", None)


def test_probe_that_succeeds__after_a_person_paused_it__resumes_nothing(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed)
    kill_switch.recover("default", registry.get(NAME))
    pause("default", Target("receiver", NAME), by="ann")
    kill_switch.recover("default", registry.get(NAME))
    assert PausedReceiver.objects.exists()


def test_renamed__is_parked_and_resumed_under_all_its_names(offloaded: Offloaded) -> None:
    offloaded(send_mail, mailed, aliases=("tests.old_name",))
    park("default", registry.get(NAME), "a reason")
    assert PausedReceiver.objects.count() == 2
    kill_switch.recover("default", registry.get(NAME))
    assert not PausedReceiver.objects.exists()


# --- The cost -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("kind")
def test_all_is_well__no_statement_more(monkeypatch: pytest.MonkeyPatch) -> None:
    mend()
    made: list[list[str]] = []
    # However slow this machine: see test_queries.
    monkeypatch.setattr(chunk, "CHUNK_SECONDS", 3600.0)
    monkeypatch.setattr(claim, "WORTH_WRITING", float("inf"))
    monkeypatch.setitem(pauses._known, "default", (float("inf"), pauses.Pauses()))
    for watched in (False, False, True):
        emit(3)
        while materialise("default", frozenset()):
            pass
        messages: list[Message] = []
        feed("default", "default", 9, frozenset([NAME]), messages.extend)
        with statements() as some:
            for message in messages:
                consume(message, watched=watched)
        made.append(some)
    assert made[1] == made[2]
