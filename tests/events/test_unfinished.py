"""What is unfinished is counted through indexes, and no further than a limit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.utils import timezone

from events.admin.health import _shown
from events.models import Delivery, EventRecord, State
from events.operations.figures import oldest_undelivered
from events.operations.health import overview
from events.operations.unfinished import queues_at_work, retrying, unfinished
from tests.events.ageing import store, store_many
from tests.events.operating import broker_away
from tests.events.plans import plans_of, reads_all
from tests.events.queries import statements

pytestmark = pytest.mark.django_db

RECEIVER = "tests.receiver"


def some(number: int, state: State, queue: str = "default", *, tries: int = 0) -> list[EventRecord]:
    events = store(number, states=[state], receivers={RECEIVER: queue})
    Delivery.objects.filter(event__in=events).update(tries=tries, next_at=timezone.now())
    return events


def test_counts__by_queue_and_state__whether_or_not_anybody_knows_the_queue() -> None:
    some(3, State.WAITING)
    some(2, State.SENT)
    some(1, State.RUNNING, "forgotten")
    some(5, State.DONE, "finished")
    assert queues_at_work("default") == ["default", "forgotten"]
    found = unfinished("default")
    assert +found.numbers == {
        ("default", State.WAITING): 3,
        ("default", State.SENT): 2,
        ("forgotten", State.RUNNING): 1,
    }
    assert found.of_queue("default", State.WAITING, State.SENT) == 5
    assert (found.more, found.retrying.more) == (frozenset(), False)


def test_counts__end_at_the_limit__and_say_that_there_are_more() -> None:
    some(3, State.WAITING)
    some(2, State.WAITING, "small")
    some(3, State.WAITING, "failing", tries=2)
    found = unfinished("default", most=2)
    assert found.of_queue("default", State.WAITING) == found.of_queue("small", State.WAITING) == 2
    assert found.more == {"default", "failing"}
    assert (found.retrying.total, found.retrying.more) == (2, True)
    assert unfinished("default", most=3).more == frozenset()
    assert unfinished("default", most=None).of_queue("default", State.WAITING) == 3


def test_retrying__by_receiver__with_their_failed_tries() -> None:
    some(3, State.WAITING, tries=4)
    some(1, State.WAITING)
    # One that a worker has, and one that is over.
    some(1, State.SENT, tries=1)
    some(1, State.DEAD, tries=1)
    found = retrying("default")
    assert (found.numbers, found.failed_tries, found.queues) == (
        {RECEIVER: 3},
        {RECEIVER: 12},
        {RECEIVER: "default"},
    )
    assert (found.total, found.more) == (3, False)


def test_page__says_that_there_are_more() -> None:
    some(3, State.WAITING, tries=1)
    with broker_away():
        html = render_to_string("events/admin/health_now.html", _shown(overview(["default"], most=2)))
    # Those of the queue, and those that fail now.
    assert html.count("&gt; 2<") == 2


@pytest.mark.parametrize("tries", [0, 1])
@pytest.mark.parametrize("state", [State.WAITING, State.SENT, State.RUNNING])
def test_oldest__of_whatever_is_unfinished(state: State, tries: int) -> None:
    for age, of in enumerate((State.DONE, state, State.WAITING), start=1):
        [event] = some(1, of, f"queue{age}", tries=tries if of == state else 0)
        EventRecord.objects.filter(pk=event.pk).update(emitted_at=timezone.now() - timedelta(days=9 - age))
    expected = EventRecord.objects.order_by("pk")[1].emitted_at
    assert oldest_undelivered("default") == expected


def test_oldest__of_many__the_one_that_is_tried_again_for_days() -> None:
    [old] = some(1, State.WAITING, "a queue", tries=7)
    Delivery.objects.update(next_at=timezone.now() + timedelta(hours=1))
    some(1_100, State.WAITING, "a queue")
    assert oldest_undelivered("default") == EventRecord.objects.get(pk=old.pk).emitted_at


def test_oldest__nothing_is_unfinished__is_none() -> None:
    some(3, State.DONE)
    assert oldest_undelivered("default") is None


def test_statements__are_as_many_however_much_there_is() -> None:
    made = []
    for number in (1, 40):
        for queue in range(number):
            some(1, State.WAITING, f"queue{queue}")
        with statements() as asked:
            unfinished("default")
            oldest_undelivered("default")
        made.append(asked)
    assert made[0] == made[1]


def test_queues__more_than_one_statement_takes() -> None:
    store(1, states=[State.WAITING] * 230, receivers={f"r{number}": f"q{number}" for number in range(230)})
    assert unfinished("default").numbers.total() == 230
    assert oldest_undelivered("default") == EventRecord.objects.get().emitted_at


@pytest.mark.skipif(connection.vendor == "mysql", reason="it has no partial indexes: see test_engines")
@pytest.mark.django_db(transaction=True)
def test_unfinished__is_found_by_its_indexes_alone() -> None:
    store_many(10)
    some(200, State.WAITING)
    some(50, State.SENT)
    some(50, State.WAITING, tries=1)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    plans = plans_of(lambda: unfinished("default")) | plans_of(lambda: oldest_undelivered("default"))
    assert any("offload_delivery_retrying" in text for text in plans.values()), plans
    for sql, text in plans.items():
        assert not reads_all(text), f"{sql}\n{text}"
        assert "offload_delivery_once" not in text, f"{sql}\n{text}"
