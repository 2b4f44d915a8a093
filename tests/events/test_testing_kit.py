"""The testing kit: `captured_events`, `drain`, and what they promise to the tests of others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import Signal
from django.test import TestCase, TransactionTestCase
from django.utils.functional import SimpleLazyObject

from events import Backoff, Event, Skip
from events.models import Delivery, EventRecord, State
from events.testing import Drained, captured_events, drain, make_due
from tests.events.conftest import Offloaded
from tests.shop.models import Effect, Item, Tag
from tests.shop.signals import bought, plain, returned

happened = Event("kit.happened", n=int)
followed = Event("kit.followed", n=int)
unheard = Signal()
HERE = __name__


def receive(sender: Any, n: int, event: Any, **kwargs: Any) -> None:
    Effect.objects.create(receiver="receive", key=event.idempotency_key, note=str(n))


def follow(sender: Any, n: int, **kwargs: Any) -> None:
    followed.send(n=n + 1)


def fail(sender: Any, n: int, **kwargs: Any) -> None:
    raise ValueError(f"n is {n}")


def fail_odd(sender: Any, n: int, **kwargs: Any) -> None:
    if n % 2:
        raise ValueError(f"{n} is odd")


def skip(sender: Any, n: int, **kwargs: Any) -> None:
    raise Skip("not today")


def send_in_vain(*numbers: int) -> None:
    with transaction.atomic():
        for n in numbers:
            with transaction.atomic():
                happened.send(n=n)
        raise ZeroDivisionError


@pytest.mark.django_db
class TestCaptured:
    def test_nothing__is_empty(self) -> None:
        with captured_events() as events:
            pass
        assert len(events) == 0
        assert list(events) == []
        events.assert_emitted("kit.happened", times=0)

    def test_order__oldest_first(self, offloaded: Offloaded) -> None:
        offloaded(receive, happened)
        with captured_events() as events:
            for n in range(3):
                happened.send(n=n)
        assert [event.arguments["n"] for event in events] == [0, 1, 2]
        assert events[-1].arguments == {"n": 2}
        assert repr(events) == "<CapturedEvents ['kit.happened', 'kit.happened', 'kit.happened']>"

    def test_outside_the_block__nothing_is_captured(self, offloaded: Offloaded) -> None:
        offloaded(receive, happened)
        happened.send(n=1)
        with captured_events() as events:
            happened.send(n=2)
        happened.send(n=3)
        assert [event.arguments["n"] for event in events] == [2]

    def test_nested__both_see(self, offloaded: Offloaded) -> None:
        offloaded(receive, happened)
        with captured_events() as outer:
            happened.send(n=1)
            with captured_events() as inner:
                happened.send(n=2)
        assert len(outer) == 2
        assert len(inner) == 1

    def test_of__by_type_signal_and_arguments(self) -> None:
        with captured_events() as events:
            item = Item.objects.create(title="one")
            bought.send(item=item, amount=1)
            bought.send(item=item, amount=2)
            returned.send(item=item)
            plain.send(sender=None)
        assert len(events.of("shop.item.created")) == 1
        assert len(events.of(post_save)) == 1
        assert len(events.of("shop.bought")) == len(events.of(bought)) == 2
        assert len(events.of(bought, item=item)) == 2
        assert len(events.of(bought, item=item, amount=2)) == 1
        assert len(events.of(bought, amount=3)) == 0
        assert len(events.of(bought, nonsense=3)) == 0
        assert len(events.of(plain)) == 1
        assert len(events.of(returned, item=item)) == 1

    def test_assert_emitted__by_instances_subjects_and_values(self, offloaded: Offloaded) -> None:
        offloaded(receive, happened)
        with captured_events() as events:
            item, tag = Item.objects.create(title="one"), Tag.objects.create(name="red")
            bought.send(item=item, amount=1)
            item.tags.add(tag)
        events.assert_emitted("shop.bought", item=item, amount=1)
        events.assert_emitted("shop.bought", subject=item)
        events.assert_emitted("shop.bought", subject=f"shop.item/{item.pk}")
        events.assert_emitted("shop.item.created", instance=item, created=True)
        events.assert_emitted(m2m_changed, instance=item, pk_set={tag.pk}, model=Tag)
        events.assert_emitted(bought, item=Item(pk=item.pk + 1), times=0)
        events.assert_emitted(bought, item=Tag(pk=item.pk), times=0)

    def test_assert_emitted__by_a_lazy_user(self, offloaded: Offloaded) -> None:
        seen = Event("kit.seen", user=User)
        offloaded(receive, seen)
        user = User.objects.create(username="u")
        with captured_events() as events:
            seen.send(user=user)
        events.assert_emitted(seen, user=SimpleLazyObject(lambda: user))

    def test_assert_emitted__says_what_was_emitted_instead(self, offloaded: Offloaded) -> None:
        offloaded(receive, happened)
        with captured_events() as events:
            happened.send(n=1)
        with pytest.raises(AssertionError) as caught:
            events.assert_emitted("kit.happened", times=2, n=1)
        assert str(caught.value) == (
            "kit.happened with {'n': 1} was emitted 1 times, not 2. Emitted and not rolled back:\n"
            "  kit.happened  {'n': 1}"
        )

    def test_assert_emitted__of_nothing(self) -> None:
        with captured_events() as events:
            pass
        with pytest.raises(AssertionError, match="with any arguments was emitted 0 times, not 1") as caught:
            events.assert_emitted("kit.happened")
        assert str(caught.value).endswith("  nothing")

    def test_arguments__have_been_through_json(self, offloaded: Offloaded) -> None:
        anything = Event()
        offloaded(receive, anything)
        at = datetime(2026, 1, 1, tzinfo=UTC)
        items = [1, 2]
        with captured_events() as events:
            anything.send(sender=None, price=Decimal("1.50"), at=at, pair=(1, {2}), items=items)
            items.append(3)
        assert events[0].arguments == {"price": Decimal("1.50"), "at": at, "pair": (1, {2}), "items": [1, 2]}
        assert json.loads(events[0].emission.envelope)["data"]["args"]["items"] == [1, 2]

    def test_rollback__takes_the_events_along(self, offloaded: Offloaded) -> None:
        offloaded(receive, happened)
        with captured_events() as events:
            happened.send(n=1)
            with pytest.raises(ZeroDivisionError):
                send_in_vain(2, 3)
            with transaction.atomic():
                happened.send(n=4)
        assert [event.arguments["n"] for event in events] == [1, 4]
        assert drain() == Drained(done=2)

    def test_signal_without_receivers__emits_nothing(self) -> None:
        with captured_events() as events:
            unheard.send(sender=None)
        assert len(events) == 0
        assert EventRecord.objects.count() == 0


@pytest.mark.django_db
class TestDrained:
    def test_nothing_due(self) -> None:
        assert drain() == Drained()
        assert Drained() == Drained(done=0, skipped=0, retrying=0, dead=0)

    def test_every_outcome(self, offloaded: Offloaded) -> None:
        offloaded(receive, happened)
        offloaded(skip, happened)
        offloaded(fail, happened)
        offloaded(fail_odd, happened, retry=Backoff(tries=1))
        happened.send(n=1)
        assert drain() == Drained(done=1, skipped=1, retrying=1, dead=1)
        states = dict(Delivery.objects.values_list("receiver", "state"))
        assert states == {
            f"{HERE}.receive": State.DONE,
            f"{HERE}.skip": State.SKIPPED,
            f"{HERE}.fail": State.WAITING,
            f"{HERE}.fail_odd": State.DEAD,
        }

    def test_twice__runs_nothing_twice(self, offloaded: Offloaded) -> None:
        offloaded(receive, happened)
        happened.send(n=1)
        assert drain() == Drained(done=1)
        assert drain() == Drained()
        assert Effect.objects.count() == 1

    def test_caused_meanwhile__are_run_too(self, offloaded: Offloaded) -> None:
        offloaded(follow, happened)
        offloaded(receive, followed)
        happened.send(n=1)
        assert drain() == Drained(done=2)
        first, second = EventRecord.objects.order_by("id")
        assert second.causation_id == first.id
        assert second.correlation_id == first.correlation_id == first.id
        assert Effect.objects.get().note == "2"

    def test_retry__waits_for_its_time(self, offloaded: Offloaded) -> None:
        offloaded(fail, happened, retry=Backoff(first=1000, tries=2))
        happened.send(n=1)
        assert drain() == Drained(retrying=1)
        assert drain() == Drained()
        assert make_due() == 1
        assert drain() == Drained(dead=1)
        assert make_due() == 0
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.tries) == (State.DEAD, 2)
        assert "ValueError: n is 1" in delivery.error

    def test_one_that_fails__stops_no_other(self, offloaded: Offloaded) -> None:
        offloaded(fail_odd, happened)
        offloaded(receive, happened)
        for n in range(6):
            happened.send(n=n)
        assert drain() == Drained(done=9, retrying=3)
        assert Effect.objects.count() == 6

    def test_within_a_block_and_after_it(self, offloaded: Offloaded) -> None:
        offloaded(receive, happened)
        with captured_events() as events:
            happened.send(n=1)
            assert drain() == Drained(done=1)
            happened.send(n=2)
        assert len(events) == 2
        assert drain() == Drained(done=1)

    def test_deleted_row__is_skipped(self) -> None:
        item = Item.objects.create(title="one")
        drain()
        bought.send(item=item, amount=1)
        Item.objects.filter(pk=item.pk).delete()
        with captured_events() as events:
            assert drain().skipped == 2
        assert len(events) == 0


@pytest.mark.django_db(transaction=True)
def test_real_transactions__emit_when_they_commit(offloaded: Offloaded) -> None:
    offloaded(receive, happened)
    with captured_events() as events:
        with pytest.raises(ZeroDivisionError):
            send_in_vain(1)
        with transaction.atomic():
            happened.send(n=2)
        happened.send(n=3)
    assert [event.arguments["n"] for event in events] == [2, 3]
    assert EventRecord.objects.count() == 2
    assert drain() == Drained(done=2)


@pytest.mark.django_db(transaction=True)
def test_real_transactions__drain_inside_one(offloaded: Offloaded) -> None:
    offloaded(receive, happened)
    with captured_events(), transaction.atomic():
        happened.send(n=1)
        assert drain() == Drained(done=1)
    assert drain() == Drained()
    assert Effect.objects.count() == 1


class TestInsideDjangosTestCase(TestCase):
    """The kit needs no pytest."""

    def test_emitted_and_drained(self) -> None:
        with captured_events() as events:
            item = Item.objects.create(title="one")
        events.assert_emitted("shop.item.created", instance=item)
        assert drain() == Drained(done=2)

    def test_on_commit_callbacks_are_captured_beside(self) -> None:
        with captured_events() as events, self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            item = Item.objects.create(title="one")
        events.assert_emitted("shop.item.created", instance=item)
        assert drain() == Drained(done=2)
        assert Effect.objects.count() == 2

    def test_on_commit_callbacks_write_the_events_of_each_capture(self) -> None:
        for count in (1, 2, 3):
            with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
                Item.objects.create(title="one")
            assert EventRecord.objects.count() == count

    def test_on_commit_callbacks_write_the_events_of_what_follows_a_drain(self) -> None:
        with transaction.atomic():
            Item.objects.create(title="one")
        drain()
        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            Item.objects.create(title="two")
        assert EventRecord.objects.count() == 2


class TestInsideDjangosTransactionTestCase(TransactionTestCase):
    def test_emitted_and_drained(self) -> None:
        with captured_events() as events:
            item = Item.objects.create(title="one")
            item.delete()
        events.assert_emitted(post_delete, times=1)
        assert drain() == Drained(done=3)
