"""What ended in each minute: counted from the rows, neither twice nor lost, whoever counts and dies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.db.models import F
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from events import identity
from events.histogram import BUCKETS, quantile
from events.models import Delivery, EventRecord, Meter, Minute, Queue, State
from events.operations.replaying import replay
from events.relay import metering, news
from events.relay.counting import Counts, count
from events.relay.loop import EVERY, Relay
from events.relay.metering import KEPT, METER, MINUTE, SETTLED, Reader
from events.relay.replaying import Past
from events.testing import drain
from tests.events.ageing import store
from tests.events.conftest import Offloaded
from tests.events.ending import RECEIVER, ended, read
from tests.events.operating import broker_away, bury, mend, offload_fragile, run
from tests.events.plans import plans_of, reads_all
from tests.events.test_operations_replaying import LATECOMER, RECORD_SAVE, latecomer
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


def minutes(state: str = State.DONE) -> dict[datetime, int]:
    rows = Minute.objects.filter(state=state, minute__gt=Minute.ever("default"))
    return dict(rows.values_list("minute", "count"))


def ever(state: str = State.DONE) -> int:
    return Minute.objects.get(minute=Minute.ever("default"), state=state).count


def whole(ago: timedelta = timedelta()) -> datetime:
    """A minute that has ended, so long ago."""
    return metering.floor(timezone.now() - ago) - 2 * MINUTE


def test_minute__is_what_its_rows_say() -> None:
    at = whole()
    ended(at, number=3, waited=0.1, ran=0.02)
    ended(at + timedelta(seconds=59), number=2, waited=3, ran=1.5)
    ended(at, state=State.DEAD, tries=12)
    ended(at + MINUTE, number=1)
    read()
    row = Minute.objects.get(minute=at, state=State.DONE)
    assert (row.receiver, row.queue, row.count, row.failed_tries) == (RECEIVER, "default", 5, 0)
    assert sum(row.wait) == sum(row.run) == 5
    assert len(row.wait) == BUCKETS
    # 20 ms are above 16 and within 32; 1.5 s above 1,024 and within 2,048.
    assert (row.run[5], row.run[11]) == (3, 2)
    assert (row.wait[7], row.wait[12]) == (3, 2)
    assert row.run_ms == pytest.approx(3 * 20 + 2 * 1500, abs=5)
    assert row.wait_ms == pytest.approx(3 * 100 + 2 * 3000, abs=5)
    assert row.slowest_ms == pytest.approx(1500, abs=2)
    dead = Minute.objects.get(minute=at, state=State.DEAD)
    # Its wait was mostly that for the retries.
    assert (dead.count, dead.failed_tries, sum(dead.wait)) == (1, 12, 0)
    assert minutes() == {at: 5, at + MINUTE: 1}
    assert ever() == 6


def test_events__are_counted_when_they_were_emitted() -> None:
    at = whole()
    ended(at + timedelta(seconds=30), number=4, waited=1)
    read()
    assert minutes(Minute.EMITTED) == {at: 4}


def test_reading__again__changes_nothing() -> None:
    at = whole()
    ended(at, number=3)
    reader = Reader("default")
    for _ in range(3):
        read(reader)
        read()
    assert (minutes(), ever()) == ({at: 3}, 3)


def test_minute_that_runs__is_counted_on_and_ends_right() -> None:
    now = timezone.now()
    at = metering.floor(now - timedelta(seconds=3))
    ended(at, number=2)
    reader = Reader("default")
    read(reader)
    assert minutes()[at] == 2
    ended(at, number=5)
    # As if it had ended since: what was committed late is in it.
    Meter.objects.update(counted_to=at)
    counts: Counts = {}
    for _ in count("default", at, at + MINUTE, counts):
        pass
    metering._write("default", at, counts)
    assert (minutes()[at], ever()) == (7, 7)


def test_committed_long_after_it_ended__is_counted_when_nobody_can_come_any_more() -> None:
    old = whole(SETTLED)
    ended(old, number=2)
    Meter.objects.create(name=METER, counted_to=old, settled_to=old)
    read()
    ended(old + timedelta(seconds=1), number=3)
    Meter.objects.update(settled_to=old)
    read()
    assert (minutes()[old], ever()) == (5, 5)


def test_run__of_what_died_or_was_discarded__is_not_since_its_first_try(offloaded: Offloaded) -> None:
    offload_fragile(offloaded)
    (row, other) = bury("1", "2")
    Delivery.objects.update(started_at=timezone.now() - timedelta(hours=4))
    run("retry", row.pk)
    drain()
    run("discard", other.pk, "--why", "by hand")
    at = whole()
    Delivery.objects.update(finished_at=at)
    read()
    assert minutes(State.DEAD) == minutes(State.SKIPPED) == {at: 1}
    assert not Minute.objects.filter(slowest_ms__gt=0).exists()


def test_wait__of_what_was_sent_again_by_a_person__is_not_since_it_was_emitted(offloaded: Offloaded) -> None:
    offload_fragile(offloaded)
    (row,) = bury("1")
    EventRecord.objects.update(emitted_at=timezone.now() - timedelta(days=3))
    mend()
    run("retry", row.pk)
    drain()
    at = whole()
    Delivery.objects.update(finished_at=at)
    read()
    [done] = Minute.objects.filter(minute=at, state=State.DONE)
    assert (done.count, sum(done.wait), done.wait_ms) == (1, 0, 0)


@pytest.mark.parametrize("receiver", [RECORD_SAVE, LATECOMER])
def test_wait__of_what_was_replayed__is_since_it_was_asked_for(offloaded: Offloaded, receiver: str) -> None:
    for number in range(3):
        Item.objects.create(title=f"{number}")
    drain()
    EventRecord.objects.update(emitted_at=timezone.now() - timedelta(days=30))
    offloaded(latecomer, post_save, sender=Item)
    [*replay("default", Past(types=("shop.item.created",)), receiver=receiver, by="ann")]
    assert drain().done == 3
    at = whole()
    Delivery.objects.exclude(asked_at=None).update(finished_at=at)
    read()
    [done] = Minute.objects.filter(minute=at, state=State.DONE)
    assert (done.receiver, done.count, sum(done.wait)) == (receiver, 3, 3)
    assert done.wait_ms < 3 * 24 * 3_600_000


def test_meter_that_was_never_read__counts_once_more_from_its_first_reading_on() -> None:
    ended(whole())
    read()
    # Later, as if it had been read then for the first time, so that two hours are over.
    Meter.objects.update(settled_to=F("settled_to") - SETTLED)
    late = whole(SETTLED)
    ended(late, number=3)
    read()
    assert minutes()[late] == 3


def test_dead_letter_that_is_redelivered__has_ended_even_so() -> None:
    old = whole(SETTLED)
    [row] = ended(old, state=State.DEAD)
    Meter.objects.create(name=METER, counted_to=old, settled_to=old)
    read()
    Delivery.objects.filter(pk=row.pk).update(state=State.WAITING, finished_at=None)
    Meter.objects.update(settled_to=old, counted_to=old)
    read()
    assert (minutes(State.DEAD), ever(State.DEAD)) == ({old: 1}, 1)


def test_long_silence__is_passed_at_once_and_nothing_of_it_is_lost() -> None:
    old = whole(timedelta(days=3))
    ended(old, number=2)
    Meter.objects.create(name=METER, counted_to=old - timedelta(days=20), settled_to=old - timedelta(days=20))
    with CaptureQueriesContext(connection) as made:
        read()
    assert ever() == 2
    # Not one for each of the twenty-eight thousand minutes: some for each second of those that are counted.
    assert len(made) < 2_000


def test_old_minutes__go_and_stay_in_the_sums() -> None:
    old, new = whole(KEPT), whole()
    ended(old - MINUTE, number=2)
    ended(new, number=1)
    Meter.objects.create(name=METER, counted_to=old - MINUTE, settled_to=old - MINUTE)
    read()
    assert (minutes(), ever()) == ({new: 1}, 3)


class Died(BaseException):
    pass


def test_killed_between_two_steps__the_next_relay_counts_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at = whole()
    ended(at + timedelta(seconds=5), number=3)
    ended(at + MINUTE + timedelta(seconds=5), number=2)

    def die(name: str) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(metering, "crashpoint", die)
        with pytest.raises(Died):
            read()
    assert ever() == 3
    Meter.objects.update(lease_until=None)
    read()
    assert (minutes(), ever()) == ({at: 3, at + MINUTE: 2}, 5)


def test_two_relays__one_reads_and_the_other_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended(whole(), number=3)
    reading = Reader("default").read()
    next(reading)
    monkeypatch.setattr(identity, "_identity", "another relay")
    read()
    assert not Minute.objects.exists()
    # It takes the meter when the first doesn't come back; the first then writes nothing.
    Meter.objects.update(lease_until=None)
    read()
    assert ever() == 3
    monkeypatch.undo()
    for _ in reading:
        pass
    assert ever() == 3


def test_quantile__lies_in_the_bucket_of_the_one_asked_for() -> None:
    counts = [0] * BUCKETS
    assert quantile(counts, 0.5) is None
    counts[4], counts[10], counts[-1] = 90, 9, 1
    assert 8 < (quantile(counts, 0.5) or 0) <= 16
    assert 512 < (quantile(counts, 0.95) or 0) <= 1024
    assert quantile(counts, 1.0) == float("inf")


@pytest.mark.skipif(connection.vendor == "mysql", reason="plans_of reads SQLite's and PostgreSQL's")
def test_counting__finds_its_rows_by_index_and_looks_each_event_up() -> None:
    at = whole()
    ended(at, number=20)
    store(2_000, receivers={"tests.first": "default"})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    plans = plans_of(lambda: list(count("default", at, at + MINUTE, {})))
    assert plans
    for sql, text in plans.items():
        assert not reads_all(text), f"{sql}\n{text}"


@pytest.mark.parametrize("error", [DatabaseError("no such table"), ValueError("another version's figures")])
def test_meter_that_fails__holds_up_no_round(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(self: Reader) -> Iterator[None]:
        raise error
        yield

    monkeypatch.setattr(Reader, "read", fail)
    with broker_away():
        assert Relay()._round() == EVERY
    assert "events.meter alias=default" in caplog.text
    assert str(error) in caplog.text


def test_relay__reads_the_meter_and_says_whether_it_reaches_the_broker() -> None:
    ended(whole(), number=3)
    relay = Relay()
    news._said.clear()
    with broker_away():
        Queue.objects.create(name="default")
        while not Minute.objects.filter(state=State.DONE).exists() or relay._reading:
            relay._round()
        store(1, states=[State.WAITING], receivers={"tests.first": "default"})
        relay._round()
    meter = Meter.objects.get()
    assert not meter.broker_ok
    assert meter.broker_since is not None
    assert "refused" in meter.broker_error
    relay._leave()
    meter.refresh_from_db()
    assert meter.lease_until is None


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_meter__reads_without_time_zones_too(zone: str, settings: Settings) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, zone
    connection.close()
    try:
        # A minute that has ended, by the database's clock.
        read()
        ended(Meter.objects.get().read_at - 2 * MINUTE)
        Meter.objects.update(counted_to=None)
        read()
        assert ever() == 1
    finally:
        connection.close()
