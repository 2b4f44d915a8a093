"""The thread that talks to the broker, by itself: whoever gives it something goes on at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from events.transport import Courier
from events.transport.courier import Load

LONG = 60.0  # seconds: it decides nothing


class Broker:
    """Takes what is delivered, but only while it `answers`; fails as often as `failures` says."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.began = threading.Event()
        self.over = threading.Event()
        self.failures = 0
        # Whether what is taken had better wait a moment.
        self.waits = False
        self.taken: list[list[str]] = []
        self.threads: set[str] = set()
        self.recovered: list[Exception] = []
        self.courier = Courier(self.deliver, self.recover)

    def deliver(self, loads: Sequence[Load[str]], hurry: bool) -> Sequence[Load[str]]:
        self.threads.add(threading.current_thread().name)
        self.began.set()
        assert self.answers.wait(LONG)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("gone")
        if self.waits and not hurry:
            return loads
        self.taken.append([load.parcel for load in loads if load.parcel])
        return ()

    def recover(self, error: Exception) -> None:
        self.recovered.append(error)
        assert self.over.wait(LONG)

    def give(self, *names: str) -> None:
        for name in names:
            self.courier.take({"default"}, name)


@pytest.fixture
def broker() -> Iterator[Broker]:
    hung = Broker()
    yield hung
    hung.answers.set()
    hung.over.set()


def test_broker_that_never_answers__takes_no_time_of_those_who_give(broker: Broker) -> None:
    for _ in range(100):
        broker.give("a")
    assert broker.taken == []
    assert broker.courier.is_late(0.0)
    assert not broker.courier.is_late(LONG)


def test_what_meets_during_a_round_trip__goes_in_one_in_order(broker: Broker) -> None:
    broker.give("a")
    assert broker.began.wait(LONG)
    broker.give("b", "c")
    broker.give("d")
    broker.answers.set()
    assert broker.courier.finish(LONG)
    assert broker.taken == [["a"], ["b", "c", "d"]]
    assert not broker.courier.is_late(0.0)
    assert broker.threads == {"events-courier"}


def test_what_had_better_wait__goes_before_what_came_since_where_somebody_waits_for_the_end(
    broker: Broker,
) -> None:
    broker.waits = True
    broker.answers.set()
    broker.give("a", "b")
    assert broker.began.wait(LONG)
    broker.give("c")
    assert broker.courier.is_late(0.0)
    assert broker.courier.finish(LONG)
    assert [name for names in broker.taken for name in names] == ["a", "b", "c"]


def test_what_waited_until_the_relay_looks_for_it__is_not_sent_as_well(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.give("a")
    assert broker.began.wait(LONG)
    broker.give("too old")
    monkeypatch.setattr("events.transport.courier._TOO_OLD", 0.0)
    broker.answers.set()
    assert broker.courier.finish(LONG)
    assert broker.taken == [["a"], []]


def test_failure__is_handed_on_and_what_came_meanwhile_is_delivered_afterwards(broker: Broker) -> None:
    broker.failures = 1
    broker.answers.set()
    broker.give("lost")
    assert not broker.courier.finish(LONG), "it waited for a broker that fails"
    broker.give("later")
    broker.over.set()
    while not broker.courier.finish(LONG):
        time.sleep(0.01)
    assert [repr(error) for error in broker.recovered] == ["ConnectionError('gone')"]
    # What failed may have arrived in part: the relay looks, and sends what didn't.
    assert broker.taken == [["later"]]


def test_failure_that_cannot_be_recovered_from__does_not_end_the_thread(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: Exception) -> None:
        raise OSError("a connection that can't even be closed") from error

    broker.failures = 1
    monkeypatch.setattr(broker.courier, "_recover", fail)
    broker.give("lost")
    assert broker.began.wait(LONG)
    broker.give("later")
    broker.answers.set()
    end = time.monotonic() + LONG
    while not broker.courier.finish(0.1):
        assert time.monotonic() < end
    assert broker.taken == [["later"]]


def test_two_forks_at_once__each_puts_down_what_it_took(broker: Broker) -> None:
    broker.courier.hold_for_fork()
    other = threading.Thread(target=broker.courier.hold_for_fork)
    other.start()
    # It gives up waiting for the first, which takes its time.
    other.join(LONG)
    broker.courier.release_after_fork()
    broker.answers.set()
    broker.give("later")
    assert broker.courier.finish(LONG)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # that is what is tested
def test_fork__in_the_middle_of_a_delivery_has_a_courier_of_its_own(broker: Broker) -> None:
    broker.give("the parent's")
    assert broker.began.wait(LONG)
    broker.courier.hold_for_fork()  # waits, but not for ever: the broker hangs
    pid = os.fork()
    if pid == 0:
        broker.courier.begin_anew()
        broker.answers = threading.Event()
        broker.answers.set()
        broker.give("the child's")
        os._exit(0 if broker.courier.finish(LONG) and broker.taken == [["the child's"]] else 1)
    broker.courier.release_after_fork()
    assert os.waitpid(pid, 0)[1] == 0


def test_no_thread_to_be_had__what_was_given_is_left_to_the_relay(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        broker.give("lost")
        assert broker.courier.finish(0)
    broker.answers.set()
    broker.give("later")
    assert broker.courier.finish(LONG)
    assert broker.taken == [["later"]]
