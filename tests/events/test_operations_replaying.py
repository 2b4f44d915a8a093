from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal
from django.utils import timezone

from events.exceptions import UnknownReceiver
from events.models import Delivery, EventRecord, State
from events.operations.forgetting import forget
from events.operations.replaying import replay
from events.relay.replaying import Past, Replayed
from events.testing import Drained, drain
from tests.events.conftest import Offloaded
from tests.shop.models import Effect, Item, Tag
from tests.shop.signals import bought

pytestmark = pytest.mark.django_db

RECORD_SAVE = "tests.shop.receivers.record_save"
LATECOMER = "tests.events.test_operations_replaying.latecomer"


def latecomer(sender: Any, instance: Item, event: Any, **kwargs: Any) -> None:
    """A projection added after the events it is built from."""
    Effect.objects.create(receiver="latecomer", key=event.idempotency_key, note=instance.title)


def replayed(past: Past | None = None, receiver: str | None = None, *, dry_run: bool = False) -> Replayed:
    return [Replayed(), *replay("default", past or Past(), receiver=receiver, by="ann", dry_run=dry_run)][-1]


def notes(receiver: str) -> list[str]:
    return sorted(Effect.objects.filter(receiver=receiver).values_list("note", flat=True))


@pytest.fixture
def two_items() -> list[Item]:
    items = [Item.objects.create(title=title) for title in ("one", "two")]
    drain()
    return items


@pytest.mark.usefixtures("two_items")
def test_replay__finished_deliveries_really_run_again() -> None:
    assert replayed().deliveries == 4
    assert drain() == Drained(done=4)
    assert notes("record_save") == ["True one"] * 2 + ["True two"] * 2


@pytest.mark.usefixtures("two_items")
def test_replay__with_the_same_idempotency_keys() -> None:
    before = set(Effect.objects.values_list("key", flat=True))
    replayed()
    drain()
    assert set(Effect.objects.values_list("key", flat=True)) == before


@pytest.mark.usefixtures("two_items")
def test_replay__is_sent_as_a_later_attempt() -> None:
    replayed()
    drain()
    assert set(Delivery.objects.values_list("attempt", flat=True)) == {2}


@pytest.mark.usefixtures("two_items")
def test_replay__one_receiver__no_other_runs() -> None:
    assert replayed(receiver=RECORD_SAVE).again == {RECORD_SAVE: 2}
    drain()
    assert len(notes("record_save")) == 4
    assert len(notes("mail_save")) == 2


def test_replay__by_type__no_other_event_runs(two_items: list[Item]) -> None:
    bought.send(item=two_items[0], amount=1)
    drain()
    assert replayed(Past(types=("shop.bought",))).events == 1
    assert replayed(Past(types=("shop.boug",))).events == 0


@pytest.mark.usefixtures("two_items")
def test_replay__by_time__from_since_until_before() -> None:
    old = EventRecord.objects.earliest("pk")
    EventRecord.objects.filter(pk=old.pk).update(emitted_at=timezone.now() - timedelta(days=3))
    day = timezone.now() - timedelta(days=1)
    assert replayed(Past(since=day), dry_run=True).events == 1
    assert replayed(Past(until=day), dry_run=True).events == 1
    assert replayed(Past(until=day)).again == {RECORD_SAVE: 1, "tests.shop.receivers.mail_save": 1}
    drain()
    assert notes("record_save") == ["True one", "True one", "True two"]


@pytest.mark.usefixtures("two_items")
def test_replay__dry_run__counts_the_same_and_changes_nothing(offloaded: Offloaded) -> None:
    offloaded(latecomer, post_save, sender=Item)
    counted = replayed(receiver=LATECOMER, dry_run=True)
    assert drain() == Drained()
    assert counted == replayed(receiver=LATECOMER)


@pytest.mark.usefixtures("two_items")
def test_replay__new_receiver__is_built_from_past_events(offloaded: Offloaded) -> None:
    offloaded(latecomer, post_save, sender=Item)
    assert replayed(receiver=LATECOMER).new == {LATECOMER: 2}
    assert drain() == Drained(done=2)
    assert notes("latecomer") == ["one", "two"]


@pytest.mark.usefixtures("two_items")
@pytest.mark.parametrize(("signal", "sender"), [(post_save, Tag), (post_delete, Item)])
def test_replay__new_receiver__only_of_its_own_signal_and_sender(
    offloaded: Offloaded, signal: Signal, sender: type[Model]
) -> None:
    offloaded(latecomer, signal, sender=sender)
    assert replayed(receiver=LATECOMER).deliveries == 0


@pytest.mark.usefixtures("two_items")
def test_replay__new_receiver__a_second_time_runs_again(offloaded: Offloaded) -> None:
    offloaded(latecomer, post_save, sender=Item)
    replayed(receiver=LATECOMER)
    drain()
    assert replayed(receiver=LATECOMER).again == {LATECOMER: 2}


@pytest.mark.usefixtures("two_items")
def test_replay__renamed_receiver__under_the_name_in_the_event(offloaded: Offloaded) -> None:
    for event in EventRecord.objects.all():
        event.receivers["old.name"] = "default"
        event.save()
        Delivery.objects.create(event=event, receiver="old.name", queue="default", state=State.DONE)
    offloaded(latecomer, post_save, sender=Item, aliases=("old.name",))
    total = replayed(receiver=LATECOMER)
    assert (total.again, total.new) == ({"old.name": 2}, {})
    assert drain() == Drained(done=2)


def test_replay__what_has_not_finished__is_left_alone() -> None:
    Item.objects.create(title="one")
    drain()
    Delivery.objects.filter(receiver=RECORD_SAVE).update(state=State.SENT)
    total = replayed()
    assert (total.deliveries, total.unfinished) == (1, 1)
    assert Delivery.objects.get(receiver=RECORD_SAVE).state == State.SENT


def test_replay__forgotten_event__is_left_alone(two_items: list[Item]) -> None:
    list(forget("default", f"shop.item/{two_items[0].pk}", by="ann"))
    total = replayed()
    assert (total.events, total.forgotten) == (1, 1)


def test_replay__unknown_receiver__is_an_error() -> None:
    with pytest.raises(UnknownReceiver, match="no receiver 'nobody'"):
        replayed(receiver="nobody")
