from __future__ import annotations

from uuid import uuid4

import pytest

from events.models import Delivery, EventRecord, State
from events.operations.redelivering import choose, dead_letters, discard, redeliver
from events.relay.jobs import Chosen
from events.testing import Drained, drain
from tests.events.conftest import Offloaded
from tests.events.operating import FRAGILE, bury, mend, offload_fragile, strained
from tests.shop.models import Effect, Item

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def receivers(offloaded: Offloaded) -> None:
    offload_fragile(offloaded)


def redelivered(*rows: Delivery) -> int:
    return sum(redeliver("default", [row.pk for row in rows], by="ann"))


def test_redeliver__the_receiver_really_runs_again() -> None:
    (row,) = bury()
    mend()
    assert redelivered(row) == 1
    assert drain() == Drained(done=1)
    assert Effect.objects.filter(receiver="fragile").count() == 1


def test_redeliver__is_sent_as_a_later_attempt() -> None:
    (row,) = bury()
    mend()
    redelivered(row)
    drain()
    assert Delivery.objects.get(pk=row.pk).attempt == row.attempt + 1


def test_redeliver__has_all_its_tries_again() -> None:
    (row,) = bury()
    redelivered(row)
    assert Delivery.objects.get(pk=row.pk).tries == 0
    assert drain() == Drained(retrying=1, dead=1)


def test_redeliver__keeps_the_error_until_the_next_outcome() -> None:
    (row,) = bury("the reason")
    redelivered(row)
    waiting = Delivery.objects.get(pk=row.pk)
    assert waiting.state == State.WAITING
    assert "not mended: the reason" in waiting.error
    assert waiting.finished_at is None


def test_redeliver__careful_stays_careful_and_runs() -> None:
    (row,) = bury()
    Delivery.objects.update(careful=True)
    mend()
    redelivered(row)
    assert Delivery.objects.get(pk=row.pk).careful
    assert drain() == Drained(done=1)


def test_redeliver__twice_runs_once() -> None:
    (row,) = bury()
    mend()
    assert redelivered(row) == 1
    assert redelivered(row) == 0
    drain()
    assert Effect.objects.filter(receiver="fragile").count() == 1


def test_redeliver__what_is_done_stays_done() -> None:
    Item.objects.create(title="fine")
    drain()
    done = list(Delivery.objects.all())
    assert redelivered(*done) == 0
    assert {row.state for row in Delivery.objects.all()} == {State.DONE}


def test_redeliver__of_an_event_that_is_gone_is_left_alone() -> None:
    (row,) = bury()
    EventRecord.objects.all()._raw_delete("default")
    assert redelivered(row) == 0
    assert Delivery.objects.get(pk=row.pk).state == State.DEAD


def test_redeliver__many__in_batches() -> None:
    template = bury()[0]
    events = [
        EventRecord(id=uuid4(), type="t", correlation_id=uuid4(), receivers={}, envelope="")
        for _ in range(1100)
    ]
    EventRecord.objects.bulk_create(events)
    rows = [Delivery(event=e, receiver=FRAGILE, queue="default", state=State.DEAD) for e in events]
    Delivery.objects.bulk_create(rows)
    keys = [template.pk, *Delivery.objects.exclude(pk=template.pk).values_list("pk", flat=True)]
    assert list(redeliver("default", keys, by="ann")) == [500, 500, 101]


def test_discard__ends_as_skipped_and_says_by_whom() -> None:
    (row,) = bury()
    assert sum(discard("default", [row.pk], by="ann")) == 1
    gone = Delivery.objects.get(pk=row.pk)
    assert (gone.state, gone.reason) == (State.SKIPPED, "discarded by ann")
    assert "not mended" in gone.error
    assert drain() == Drained()


def test_discard__what_waits_is_left_alone() -> None:
    strained.send(note="n")
    drain()
    Delivery.objects.update(state=State.WAITING)
    assert sum(discard("default", list(Delivery.objects.values_list("pk", flat=True)), by="ann")) == 0
    assert Delivery.objects.get().state == State.WAITING


def test_choose__an_event_names_all_its_dead_letters() -> None:
    (row,) = bury()
    assert choose("default", [str(row.event_id)]).keys == (row.pk,)


def test_choose__one_bad_name_spoils_no_other() -> None:
    (row,) = bury()
    Item.objects.create(title="fine")
    drain()
    done = Delivery.objects.filter(state=State.DONE).first()
    assert done is not None
    chosen = choose("default", ["nonsense", str(row.pk), "999999", "9" * 40, str(done.pk), str(uuid4())])
    assert chosen.keys == (row.pk,)
    assert set(chosen.refused) == {"nonsense", "999999", "9" * 40, str(done.pk), *chosen.refused}
    assert len(chosen.refused) == 5
    assert chosen.refused[str(done.pk)] == "is done: only dead letters are redelivered"


def test_dead_letters__the_oldest_first_up_to_a_limit() -> None:
    first, second, _ = bury("1", "2", "3")
    assert dead_letters("default", limit=2) == [first.pk, second.pk]


def test_dead_letters__of_a_receiver() -> None:
    (row,) = bury()
    assert dead_letters("default", Chosen(receiver=FRAGILE)) == [row.pk]
    assert dead_letters("default", Chosen(receiver="another")) == []
