"""Traces, failures, figures, and the follower."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from events import Event
from events.models import Delivery, EventRecord, Meter, State
from events.operations.failures import by_receiver, failures, forgotten_letters
from events.operations.figures import figures, oldest_undelivered
from events.operations.following import Follower
from events.operations.tracing import LIMIT, NoTrace, find_event, trace
from events.relay.jobs import Chosen
from events.testing import drain
from events.texts import last_line
from tests.events.ageing import store
from tests.events.conftest import Offloaded
from tests.events.ending import counted, ended
from tests.events.operating import FRAGILE, broker_away, bury, offload_fragile, run, strained
from tests.shop.models import Item

pytestmark = pytest.mark.django_db

began = Event("tests.began", then=str)


def go_on(sender: Any, then: str, **kwargs: Any) -> None:
    for title in then:
        Item.objects.create(title=title)


@pytest.fixture
def story(offloaded: Offloaded) -> EventRecord:
    """One event that caused two, each delivered to two receivers."""
    offloaded(go_on, began)
    began.send(then="ab")
    drain()
    return EventRecord.objects.get(type="tests.began")


def test_trace__tree_of_causes_in_order(story: EventRecord) -> None:
    (root,) = trace("default", story).roots
    assert root.event == story
    assert [node.event.type for node in root.caused] == ["shop.item.created"] * 2
    assert root.caused[0].event.pk < root.caused[1].event.pk
    assert [row.receiver.rpartition(".")[2] for row in root.caused[0].deliveries] == [
        "mail_save",
        "record_save",
    ]


def test_trace__from_a_leaf__shows_the_whole_story(story: EventRecord) -> None:
    leaf = EventRecord.objects.filter(causation_id=story.pk).latest("pk")
    assert next(trace("default", leaf).walk())[1].event == story


def test_trace__beginning_pruned__shows_the_rest(story: EventRecord) -> None:
    leaf = EventRecord.objects.filter(causation_id=story.pk).latest("pk")
    EventRecord.objects.filter(pk=story.pk)._raw_delete("default")
    assert len(trace("default", leaf).roots) == 2


def test_trace__as_deep_as_it_gets__is_shown_by_page_and_command(
    admin_client: Client, settings: Settings
) -> None:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ("default",)}
    events = store(LIMIT, states=())
    for cause, event in pairwise(events):
        event.causation_id = cause.pk
    for event in events:
        event.correlation_id = events[0].correlation_id
    EventRecord.objects.bulk_update(events, ["causation_id", "correlation_id"], batch_size=500)
    assert [node.event for _, node in trace("default", events[-1]).walk()] == events
    for event in events[0], events[-1]:
        page = reverse("admin:offload_eventrecord_change", args=[event.pk])
        assert admin_client.get(page).status_code == 200
    for options in ([], ["--json"]):
        said = run("trace", events[0].pk, *options)
        assert all(str(event.pk) in said for event in events)


def test_find_event__by_event_delivery_and_task(story: EventRecord) -> None:
    row = story.deliveries.get()
    assert find_event("default", str(story.pk)) == story
    assert find_event("default", str(row.pk)) == story
    assert find_event("default", str(row.message_id)) == story


@pytest.mark.parametrize("name", ["nonsense", "4711", "01890a5d-ac96-774b-bcce-b302099a8057", "9" * 30])
def test_find_event__unknown__is_an_error(name: str) -> None:
    with pytest.raises(NoTrace, match=name):
        find_event("default", name)


@pytest.fixture
def dead(offloaded: Offloaded) -> list[Delivery]:
    offload_fragile(offloaded)
    return bury("1", "2")


def test_failures__the_latest_first(dead: list[Delivery]) -> None:
    assert list(failures("default")) == dead[::-1]


def test_failures__of_another_receiver__none(dead: list[Delivery]) -> None:
    assert not failures("default", Chosen(receiver="another"))


def test_by_receiver__counts(dead: list[Delivery]) -> None:
    assert [(each.receiver, each.dead) for each in by_receiver("default")] == [(FRAGILE, 2)]


def test_forgotten_letters__older_than_the_setting(dead: list[Delivery]) -> None:
    assert forgotten_letters("default") == 0
    Delivery.objects.filter(pk=dead[0].pk).update(finished_at=timezone.now() - timedelta(days=15))
    assert forgotten_letters("default") == 1


def test_last_line__of_a_traceback() -> None:
    assert last_line("Traceback:\n  File\nValueError: no\n\n") == "ValueError: no"
    assert last_line("") == ""


def test_figures__count_by_queue_and_state(offloaded: Offloaded) -> None:
    Item.objects.create(title="x")
    drain()
    Delivery.objects.filter(queue="audit").update(state=State.WAITING, next_at=timezone.now())
    found = figures("default")
    queues = {queue.name: queue for queue in found.queues}
    assert (queues["audit"].waiting, queues["default"].waiting) == (1, 0)
    assert found.emitted_last_minute == 1


def test_figures__of_the_last_hour__as_a_relay_counted_them() -> None:
    counted(number=3)
    counted(number=2, state=State.DEAD)
    counted(number=9, minutes_ago=70)
    found = figures("default")
    assert found.last_hour == {"done": 3, "dead": 2}
    assert found.emitted_last_hour == 5


def test_figures__of_the_last_hour__have_what_no_relay_has_counted_yet() -> None:
    ended(timezone.now())
    found = figures("default")
    assert (found.emitted_last_minute, found.emitted_last_hour) == (1, 1)
    # Of a few minutes ago, and no relay has run since; of the hour before.
    for minutes, number in ((5, 2), (70, 4)):
        ended(timezone.now() - timedelta(minutes=minutes), number=number)
    assert figures("default").emitted_last_hour == 3
    counted(number=8)
    ended(timezone.now())
    assert figures("default").emitted_last_hour == 3 + 8 + 1


def test_figures__of_the_last_hour__have_what_was_committed_late() -> None:
    counted(number=3)
    # Of a minute that a relay has counted, if it is not the one that runs.
    ended(timezone.now() - timedelta(seconds=50), number=2)
    Meter.objects.update(counted_to=timezone.now())
    found = figures("default")
    assert found.emitted_last_minute >= 2
    assert found.emitted_last_hour == 5


def test_figures__broker_away__says_why_and_the_rest() -> None:
    with broker_away():
        found = figures("default")
    assert "refused" in found.broker_error
    assert {queue.depth for queue in found.queues} == {None}


def test_figures__as_many_queries_however_many_deliveries() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            figures("default")
        return len(captured)

    before = queries()
    for _ in range(5):
        Item.objects.create(title="x")
    drain()
    assert queries() == before


def test_oldest_undelivered__is_that_of_an_unfinished_delivery() -> None:
    for title in "abc":
        Item.objects.create(title=title)
    drain()
    assert oldest_undelivered("default") is None
    middle = EventRecord.objects.order_by("pk")[1]
    Delivery.objects.filter(event__gte=middle).update(state=State.SENT)
    assert oldest_undelivered("default") == middle.emitted_at


def test_follower__tells_each_change_once(offloaded: Offloaded) -> None:
    offload_fragile(offloaded)
    follower = Follower("default")
    strained.send(note="n")
    drain()
    assert [row.state for row in follower.changed()] == [State.DEAD]
    assert follower.changed() == []


def test_follower__an_old_delivery_that_goes_on_is_told() -> None:
    Item.objects.create(title="x")
    drain()
    Delivery.objects.update(state=State.SENT)
    follower = Follower("default")
    Delivery.objects.filter(queue="audit").update(state=State.DONE)
    assert [row.queue for row in follower.changed()] == ["audit"]


def test_follower__begins_with_the_last_few() -> None:
    for title in "abc":
        Item.objects.create(title=title)
    drain()
    assert len(Follower("default", begin=4).changed()) == 4


def test_follower__one_receiver__no_other() -> None:
    follower = Follower("default", "tests.shop.receivers.mail_save")
    Item.objects.create(title="x")
    drain()
    assert [row.receiver for row in follower.changed()] == ["tests.shop.receivers.mail_save"]
