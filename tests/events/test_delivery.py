"""What a receiver is given, and what becomes of a delivery: by the real consumer, in this process."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db.models.signals import post_save
from pytest_django import Settings

from events import Backoff, Skip, StaleInstance, offload
from events.models import Delivery, EventRecord, Refusal, State
from events.operations import pausing
from events.testing import Drained, captured_events, drain, make_due
from tests.events.conftest import Offloaded
from tests.shop.models import Effect, Item, Unique
from tests.shop.signals import bought, returned

pytestmark = pytest.mark.django_db(transaction=True)

given: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def nothing_given() -> None:
    given.clear()


def note(sender: Any, **kwargs: Any) -> None:
    given.append({"sender": sender, **kwargs})


async def note_async(sender: Any, **kwargs: Any) -> None:
    given.append({"sender": sender, **kwargs})


def note_all(occurrences: list[Any]) -> None:
    given.append({"occurrences": occurrences})


def skip(sender: Any, **kwargs: Any) -> None:
    raise Skip("not for us")


def fail_for_two(sender: Any, amount: int, event: Any, **kwargs: Any) -> None:
    Effect.objects.create(receiver="fail_for_two", key=event.idempotency_key)
    if amount == 2:
        raise ValueError("two")


def fail_many_for_two(occurrences: list[Any]) -> None:
    for occurrence in occurrences:
        fail_for_two(occurrence.sender, occurrence.amount, occurrence.event)


def give_up(sender: Any, **kwargs: Any) -> None:
    raise ZeroDivisionError


def quote_all(sender: Any, **kwargs: Any) -> None:
    raise ValueError("a" * 1_000_000)


def swallow(sender: Any, **kwargs: Any) -> None:
    Effect.objects.create(receiver="swallow", key="")
    try:
        Unique.objects.create(name="taken")
        Unique.objects.create(name="taken")
    except Exception:  # noqa: BLE001, S110 - what no receiver should do
        pass


def emit_more(sender: Any, item: Item, **kwargs: Any) -> None:
    returned.send(sender=Item, item=item, why="because")


def save_stale(sender: Any, instance: Item, **kwargs: Any) -> None:
    instance.save()


def refresh(sender: Any, event: Any, **kwargs: Any) -> None:
    given.append({"fresh": event.refresh("instance")})


def emitted(*amounts: int) -> Item:
    item = Item.objects.create(title="one")
    for amount in amounts:
        bought.send(sender=Item, item=item, amount=amount)
    return item


@pytest.fixture(autouse=True)
def captured() -> Any:
    """Nothing of these tests is published."""
    with captured_events() as events:
        yield events


def rows(function: Any) -> dict[str, str]:
    name = f"{__name__}.{function.__name__}"
    return {
        row.envelope_amount: row.state
        for row in Delivery.objects.filter(receiver=name).select_related("event")
        for row.envelope_amount in [row.event.envelope.partition('"amount":')[2].partition("}")[0]]
    }


def test_receiver__is_given_the_signals_own_arguments(offloaded: Offloaded) -> None:
    offloaded(note, bought)
    item = emitted(3)
    drain()
    [call] = given
    assert call["sender"] is Item
    assert call["signal"] is bought
    assert call["item"] == item
    assert type(call["item"]) is Item
    assert call["amount"] == 3
    assert call["event"].type == "shop.bought"
    assert call["event"].subject == f"shop.item/{item.pk}"
    assert call["event"].attempt == 1


def test_async_receiver__runs(offloaded: Offloaded) -> None:
    offloaded(note_async, bought)
    emitted(3)
    drain()
    assert given[0]["amount"] == 3


def test_many__takes_a_list_of_at_most_batch(offloaded: Offloaded) -> None:
    offloaded(note_all, bought, many=True, batch=2)
    emitted(1, 2, 3)
    drain()
    assert [[o.amount for o in call["occurrences"]] for call in given] == [[1, 2], [3]]


def test_snapshot__is_of_the_moment_the_signal_fired(offloaded: Offloaded) -> None:
    offloaded(note, post_save, sender=Item)
    item = Item.objects.create(title="then")
    Item.objects.filter(pk=item.pk).update(title="now")
    drain()
    assert given[0]["instance"].title == "then"


def test_refresh__is_the_row_of_now(offloaded: Offloaded) -> None:
    offloaded(refresh, post_save, sender=Item)
    item = Item.objects.create(title="then")
    Item.objects.filter(pk=item.pk).update(title="now")
    drain()
    assert given[0]["fresh"].title == "now"


def test_rebuilt_instance__is_not_saved_whole(offloaded: Offloaded) -> None:
    offloaded(save_stale, post_save, sender=Item, retry=Backoff(tries=1))
    Item.objects.create(title="then")
    drain()
    assert StaleInstance.__name__ in Delivery.objects.get(receiver__endswith="save_stale").error


def test_skip__ends_the_delivery_with_its_reason(offloaded: Offloaded) -> None:
    offloaded(skip, bought)
    emitted(1)
    drain()
    row = Delivery.objects.get(receiver__endswith=".skip")
    assert (row.state, row.reason) == (State.SKIPPED, "not for us")


def test_chunk_with_a_failing_one__only_that_one_is_tried_again(offloaded: Offloaded) -> None:
    offloaded(fail_for_two, bought, retry=Backoff(first=60))
    emitted(1, 2, 3)
    assert drain().retrying == 1
    assert rows(fail_for_two) == {"1": State.DONE, "2": State.WAITING, "3": State.DONE}
    # What the failing one wrote is gone with its transaction.
    assert Effect.objects.filter(receiver="fail_for_two").count() == 2


def test_many_with_a_failing_one__the_others_are_run_without_it(offloaded: Offloaded) -> None:
    offloaded(fail_many_for_two, bought, many=True, retry=Backoff(first=60))
    emitted(1, 2, 3)
    assert drain().retrying == 1
    assert rows(fail_many_for_two) == {"1": State.DONE, "2": State.WAITING, "3": State.DONE}
    assert Effect.objects.filter(receiver="fail_for_two").count() == 2


def test_swallowed_database_error__is_a_failure_of_that_delivery_alone(offloaded: Offloaded) -> None:
    offloaded(swallow, bought, retry=Backoff(tries=1))
    offloaded(note, bought)
    emitted(1)
    drain()
    row = Delivery.objects.get(receiver__endswith=".swallow")
    assert row.state == State.DEAD
    assert "swallowed a database error" in row.error
    assert not Effect.objects.filter(receiver="swallow").exists()
    assert len(given) == 1


def test_failure__is_tried_again_as_often_as_it_may_be(offloaded: Offloaded) -> None:
    offloaded(fail_for_two, bought, retry=Backoff(first=60, tries=3))
    emitted(2)
    outcomes = []
    for _ in range(4):
        outcomes.append(drain())
        make_due()
    failing = [(outcome.retrying, outcome.dead) for outcome in outcomes]
    assert failing == [(1, 0), (1, 0), (0, 1), (0, 0)]
    row = Delivery.objects.get(receiver__endswith="fail_for_two")
    assert (row.state, row.tries) == (State.DEAD, 3)
    assert "ValueError: two" in row.error


def test_give_up_on__goes_straight_to_the_dead_letters(offloaded: Offloaded) -> None:
    offloaded(give_up, bought, give_up_on=[ZeroDivisionError])
    emitted(1)
    assert drain().dead == 1
    assert Delivery.objects.get(receiver__endswith="give_up").tries == 1


@pytest.mark.parametrize("atomic", [True, False])
def test_missing_row__skips(offloaded: Offloaded, atomic: bool) -> None:
    offloaded(note, bought, atomic=atomic)
    item = emitted(1)
    key = item.pk
    item.delete()
    drain()
    row = Delivery.objects.get(receiver=f"{__name__}.note")
    assert (row.state, row.reason) == (State.SKIPPED, f"gone: shop.item {key}")
    assert given == []


@pytest.mark.parametrize("atomic", [True, False])
def test_missing_row__none_is_passed_where_asked(offloaded: Offloaded, atomic: bool) -> None:
    offloaded(note, bought, atomic=atomic, missing="none")
    emitted(1).delete()
    drain()
    assert given[0]["item"] is None


@pytest.mark.parametrize("atomic", [True, False])
def test_missing_row__is_tried_again_where_asked(offloaded: Offloaded, atomic: bool) -> None:
    offloaded(note, bought, atomic=atomic, missing="retry", retry=Backoff(first=60))
    item = emitted(1)
    key = item.pk
    item.delete()
    drain()
    assert Delivery.objects.get(receiver=f"{__name__}.note").state == State.WAITING
    Item(pk=key, title="back").save(force_insert=True)
    make_due()
    drain()
    assert given[0]["item"].title == "back"


def test_missing_row__of_one_in_a_chunk_leaves_the_others_alone(offloaded: Offloaded) -> None:
    offloaded(note, bought)
    emitted(1)
    emitted(2).delete()
    emitted(3)
    drain()
    assert [call["amount"] for call in given] == [1, 3]


def test_event_emitted_by_a_receiver__is_caused_by_its_event(offloaded: Offloaded) -> None:
    offloaded(emit_more, bought)
    emitted(1)
    drain()
    cause = EventRecord.objects.get(type="shop.bought")
    effect = EventRecord.objects.get(type="shop.returned")
    assert effect.causation_id == cause.pk
    assert effect.correlation_id == cause.correlation_id == cause.pk


def test_alias__delivers_what_was_emitted_under_the_old_name(offloaded: Offloaded) -> None:
    offloaded(note, bought, name="old.name")
    emitted(1)
    offload.disconnect(note)
    offloaded(note_async, bought, name="new.name", aliases=["old.name"])
    drain()
    assert given[0]["amount"] == 1
    # The record stays under the name in the event's own list.
    assert Delivery.objects.filter(receiver="old.name", state=State.DONE).exists()
    assert not Delivery.objects.filter(receiver="new.name").exists()


def test_large_envelope__stays_in_the_outbox_and_is_delivered(
    offloaded: Offloaded, settings: Settings
) -> None:
    settings.EVENTS = settings.EVENTS | {"MAX_INLINE_BYTES": 100}
    offloaded(note, bought)
    emitted(1)
    drain()
    assert given[0]["amount"] == 1


def test_paused_queue__waits_and_nothing_is_lost(offloaded: Offloaded) -> None:
    offloaded(note, bought, queue="alerts")
    alerts = pausing.find("default", "alerts")
    pausing.pause("default", alerts, by="a test")
    emitted(1)
    drain()
    assert given == []
    pausing.resume("default", alerts, by="a test")
    drain()
    assert len(given) == 1


def logged(caplog: pytest.LogCaptureFixture, name: str) -> str:
    """What a delivery to the receiver of that name, which fails, leaves in the log."""
    emitted(1)
    with caplog.at_level(logging.WARNING, logger="events"):
        drain()
    [record] = [record for record in caplog.records if name in record.getMessage()]
    return record.getMessage()


def test_failure__is_logged_with_receiver_and_event(
    offloaded: Offloaded, caplog: pytest.LogCaptureFixture
) -> None:
    offloaded(give_up, bought, retry=Backoff(first=60))
    assert "state=waiting" in logged(caplog, "give_up")
    assert not Refusal.objects.exists()


def test_failure__that_quotes_all_of_an_event__is_short_in_the_log(
    offloaded: Offloaded, caplog: pytest.LogCaptureFixture
) -> None:
    offloaded(quote_all, bought, retry=Backoff(first=60))
    message = logged(caplog, "quote_all")
    assert "1000014 characters" in message
    assert len(message) < 3_000


def test_drain__counts_what_became_of_all(offloaded: Offloaded) -> None:
    offloaded(skip, bought)
    with captured_events():
        item = Item.objects.create(title="one")
        assert drain() == Drained(done=2)
        bought.send(sender=Item, item=item, amount=1)
        assert drain() == Drained(done=2, skipped=1)
