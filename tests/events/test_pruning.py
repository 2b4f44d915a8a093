"""What finished long ago goes, what anybody still needs stays, and nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models.functions import Now

from events.models import Delivery, EventRecord, Refusal, State
from events.relay import loop
from events.relay.ageing import _MOST, Size, slices
from events.relay.loop import Relay
from events.relay.pruning import Pruned, _delete, prune
from events.testing import drain
from tests.events.ageing import DAYS, left, old, pruned, store, store_many
from tests.events.operating import run
from tests.events.plans import plans_of, reads_all
from tests.shop.models import Effect, Item, Tag

pytestmark = pytest.mark.django_db(transaction=True)


def test_prune__finished_and_old__goes_with_its_deliveries() -> None:
    store(3, states=(State.DONE, State.SKIPPED))
    store(2, at=old(DAYS - 1))
    assert pruned() == Pruned(examined=3, events=3)
    assert left() == (2, 4)


@pytest.mark.parametrize("state", [State.WAITING, State.SENT, State.RUNNING, State.DEAD])
def test_prune__event_with_one_delivery_not_final__stays_whole(state: State) -> None:
    store(states=(State.DONE, state))
    assert pruned() == Pruned(examined=1)
    assert left() == (1, 2)


def test_prune__event_that_the_relay_has_still_to_look_at__stays() -> None:
    store(states=(), next_at=old())
    store(next_at=old())
    assert not pruned()
    assert EventRecord.objects.count() == 2


def test_prune__event_that_nobody_listens_to__is_not_kept_for_ever() -> None:
    store(receivers={})
    assert pruned().events == 1


def test_prune__receiver_without_a_record__runs_after_all() -> None:
    Item.objects.create(title="x")
    drain()
    Effect.objects.all().delete()
    Delivery.objects.filter(receiver__endswith="record_save").delete()
    EventRecord.objects.update(emitted_at=old(), next_at=None)
    assert pruned() == Pruned(examined=1)
    assert drain().done == 1
    assert Effect.objects.get().receiver == "record_save"
    # The relay has looked, and now it is finished.
    EventRecord.objects.update(next_at=None)
    assert pruned().events == 1


def test_prune__dry_run__counts_the_same_and_changes_nothing() -> None:
    store(70)
    store(70, states=(State.DONE, State.DEAD))
    Refusal.objects.create(reason="long ago", at=old())
    before = left()
    assert pruned(dry_run=True) == Pruned(examined=141, events=70, refusals=1)
    assert (left(), Refusal.objects.count()) == (before, 1)
    assert pruned() == Pruned(examined=141, events=70, refusals=1)


def test_command__dry_run__says_what_would_go() -> None:
    store(3)
    Refusal.objects.create(reason="long ago", at=old())
    said = run("prune", "--dry-run")
    assert "3 events of more than 30 days would be deleted, with their deliveries." in said
    assert "1 refusal and 0 task results would be deleted." in said
    assert said.splitlines()[-1] == "Next: the same without --dry-run"
    assert left() == (3, 6)


def test_prune__refusals__go_by_the_last_of_their_kind() -> None:
    Refusal.objects.create(reason="once, long ago", at=old(), first_at=old())
    Refusal.objects.create(reason="since long ago", first_at=old())
    assert pruned().refusals == 1
    assert Refusal.objects.get().reason == "since long ago"


def test_prune__judged_under_lock__not_by_what_it_read_before() -> None:
    (event,) = store()
    # A replay, between the look and the lock.
    Delivery.objects.filter(receiver="tests.first").update(state=State.WAITING)
    assert _delete("default", [event.pk], Size()) == 0
    assert left() == (1, 2)


# --- Of what size, and how often ----------------------------------------------------------------------------


def test_prune__what_has_to_stay__is_read_once() -> None:
    store(300, states=(State.DONE, State.DEAD))
    store(100)
    store(300, states=(State.DONE, State.DEAD))
    assert pruned() == Pruned(examined=700, events=100)


def test_slices__times_in_either_of_sqlites_forms__each_row_once() -> None:
    whole = old().replace(microsecond=0)
    store(30, at=whole)
    store(30, at=whole.replace(microsecond=123_000))
    store(30, at=whole.replace(microsecond=123_456))
    keys = [event.pk for event in store(30)]
    # As the column's default writes it.
    EventRecord.objects.filter(pk__in=keys).update(emitted_at=Now())
    size = Size()
    size.rows = 7
    seen = [pk for some in slices(EventRecord.objects.all(), "emitted_at", size) for pk in some]
    assert len(seen) == len(set(seen)) == 120


def test_size__follows_what_the_last_slice_took() -> None:
    size = Size()
    size.learn(0.001, 50)
    # However fast it was, at most twice as many.
    assert size.rows == 100
    size.learn(5.0, 100)
    assert size.rows == 10
    for _ in range(20):
        size.learn(0.0, size.rows)
    assert size.rows == _MOST
    size.learn(0.1, 0)
    assert size.rows == _MOST


def test_relay__prunes_a_slice_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_FIRST_PRUNE", 0.0)
    store(60)
    relay = Relay()
    counts = []
    while not counts or relay._pruning:
        relay._prune("default")
        counts.append(EventRecord.objects.count())
    assert counts == [10, 0, 0]
    # It is over, until its hour comes again.
    store(1)
    relay._prune("default")
    assert EventRecord.objects.count() == 1


# --- At volume ----------------------------------------------------------------------------------------------


@contextmanager
def writing() -> Iterator[list[int]]:
    """Somebody commits row after row, meanwhile: the list grows by one with each."""
    commits: list[int] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            Tag.objects.create(name="meanwhile")
            commits.append(1)
        connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield commits
    finally:
        stop.set()
        writer.join()


def test_prune__fifty_thousand_rows__while_somebody_writes() -> None:
    many = store_many(14)
    seen = []
    total = Pruned()
    with writing() as commits:
        for some in prune("default", DAYS):
            total += some
            seen.append(len(commits))
    assert total == Pruned(examined=many + many // 8, events=many)
    assert left() == (many // 4, many // 2)
    # Again and again it came in between: on SQLite it would have waited for the end of one transaction.
    assert len(set(seen)) > 5


def spread_ages() -> None:
    """No two events of the same age: where many are, the key's own index does as well, and some databases take it."""
    events = list(EventRecord.objects.all())
    for seconds, event in enumerate(events):
        event.emitted_at -= timedelta(seconds=seconds)
    EventRecord.objects.bulk_update(events, ["emitted_at"])


def test_prune__every_statement_finds_its_rows_by_an_index() -> None:
    store_many(9)
    spread_ages()
    steps = prune("default", DAYS)
    # Past the dead letters, where rows go.
    while not next(steps).events:
        pass
    plans = plans_of(lambda: next(steps).events)
    assert {sql.split()[0] for sql in plans} == {"SELECT", "DELETE"}
    assert any("offload_event_age" in text for text in plans.values())
    for sql, text in plans.items():
        assert not reads_all(text), f"{sql}\n{text}"
