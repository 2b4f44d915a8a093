from __future__ import annotations

from collections.abc import Iterator

import pytest

from events import pauses
from events.delivery.consuming import consume
from events.ids import uuid7
from events.message import Message
from events.models import Delivery, PausedReceiver, Queue, Refusal, State
from events.operations.pausing import Target, UnknownTarget, find, pause, resume
from events.relay import lease
from events.testing import Drained, drain
from tests.events.conftest import Offloaded
from tests.events.operating import FRAGILE, fragile, mend, strained

pytestmark = pytest.mark.django_db

QUEUE = Target("queue", "default")
RECEIVER = Target("receiver", FRAGILE)


@pytest.fixture(autouse=True)
def receivers(offloaded: Offloaded) -> Iterator[None]:
    offloaded(fragile, strained, aliases=("old.fragile",))
    mend()
    yield
    # What this process has read is rolled back with the test.
    pauses._known.clear()


def test_pause__receiver__nothing_of_it_is_sent() -> None:
    pause("default", RECEIVER, by="ann")
    strained.send(note="n")
    assert drain() == Drained()
    assert Delivery.objects.get().state == State.WAITING


def test_resume__receiver__nothing_was_lost() -> None:
    pause("default", RECEIVER, by="ann")
    strained.send(note="n")
    drain()
    assert resume("default", RECEIVER, by="ann")
    assert drain() == Drained(done=1)


def test_pause__queue__nothing_of_it_runs_until_it_is_resumed() -> None:
    pause("default", QUEUE, by="ann")
    strained.send(note="n")
    assert drain() == Drained()
    resume("default", QUEUE, by="ann")
    assert drain() == Drained(done=1)


def test_pause__message_of_an_event_that_was_pruned__is_refused_and_leaves_nothing_to_resume() -> None:
    pause("default", RECEIVER, by="ann")
    pruned = Message(
        receiver=FRAGILE,
        queue="default",
        using="default",
        ids=(str(uuid7()),),
        envelopes=("{}",),
        attempts=(0,),
    )
    consume(pruned)
    assert not Delivery.objects.exists()
    assert "is not in the outbox" in Refusal.objects.get().reason


def test_pause__queue__no_relay_feeds_it() -> None:
    lease.ensure("default", {"default", "audit"})
    pause("default", QUEUE, by="ann")
    assert not lease.take("default", "default")
    assert lease.take("default", "audit")


def test_pause__queue_that_no_relay_has_seen__holds() -> None:
    pause("default", QUEUE, by="ann")
    lease.ensure("default", {"default"})
    assert Queue.objects.get(name="default").paused


def test_resume__queue__a_relay_feeds_it() -> None:
    pause("default", QUEUE, by="ann")
    resume("default", QUEUE, by="ann")
    assert lease.take("default", "default")


def test_pause__says_whether_it_changed_anything() -> None:
    for target in (QUEUE, RECEIVER):
        assert pause("default", target, by="ann")
        assert not pause("default", target, by="ann")
        assert resume("default", target, by="ann")
        assert not resume("default", target, by="ann")


def test_pause__this_process_knows_at_once() -> None:
    pause("default", QUEUE, by="ann")
    assert pauses.known("default").cover("any", "default")
    resume("default", QUEUE, by="ann")
    assert not pauses.known("default").cover("any", "default")


def test_pause__receiver__under_its_former_names_too() -> None:
    pause("default", RECEIVER, by="ann")
    assert set(PausedReceiver.objects.values_list("name", flat=True)) == {FRAGILE, "old.fragile"}
    resume("default", RECEIVER, by="ann")
    assert not PausedReceiver.objects.exists()


def test_find__tells_queues_from_receivers() -> None:
    assert find("default", "default") == QUEUE
    assert find("default", FRAGILE) == RECEIVER


def test_find__receiver_of_another_version__by_what_waits_for_it() -> None:
    strained.send(note="n")
    drain()
    Delivery.objects.update(receiver="new.version", state=State.WAITING)
    assert find("default", "new.version") == Target("receiver", "new.version")


def test_find__unknown__names_the_queues() -> None:
    with pytest.raises(
        UnknownTarget, match=r"No queue or receiver is called 'mails'. The queues are .*default"
    ):
        find("default", "mails")


def test_find__both__asks_which(offloaded: Offloaded) -> None:
    offloaded(_named_like_a_queue, strained, name="audit")
    with pytest.raises(UnknownTarget, match="is a queue and a receiver"):
        find("default", "audit")
    assert find("default", "audit", "receiver") == Target("receiver", "audit")
    assert find("default", "audit", "queue") == Target("queue", "audit")


def _named_like_a_queue(sender: object, **kwargs: object) -> None:
    raise AssertionError("nothing is sent to it")
