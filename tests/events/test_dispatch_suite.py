"""An `Event` does whatever a `Signal` does.

Every case that Django 5.2 tests its dispatcher with (its tests/dispatch, and the asynchronous part of its
tests/signals), for `Signal` itself, for `Event()`, and for a declared event.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync, markcoroutinefunction
from django.dispatch import Signal, receiver
from django.test.utils import garbage_collect
from pytest_django import Settings

from events import Event

Make = Callable[..., Any]


def declared(**options: Any) -> Signal:
    return Event("dispatch.tested", val=object, **options)


@pytest.fixture(params=[Signal, Event, declared], ids=["Signal", "Event", "declared Event"])
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


@pytest.fixture
def signal(make: Make) -> Any:
    return make()


def echo(val: Any, **kwargs: Any) -> Any:
    return val


class Echo:
    def __call__(self, val: Any, **kwargs: Any) -> Any:
        return val

    def method(self, val: Any, **kwargs: Any) -> Any:
        return val


class Counting:
    count = 0

    def __call__(self, **kwargs: Any) -> int:
        self.count += 1
        return self.count


class CountingAsync:
    count = 0

    def __init__(self) -> None:
        markcoroutinefunction(self)

    async def __call__(self, **kwargs: Any) -> int:
        self.count += 1
        return self.count


class Failure(Exception):
    pass


def assert_clean(signal: Any) -> None:
    # Asking clears what is dead.
    assert not signal.has_listeners()
    assert signal.receivers == []


# Connecting


def test_connect__receiver_without_kwargs_is_refused(signal: Any, settings: Settings) -> None:
    settings.DEBUG = True

    def without(sender: Any) -> None: ...

    with pytest.raises(ValueError, match=r"Signal receivers must accept keyword arguments \(\*\*kwargs\)\."):
        signal.connect(without)
    assert_clean(signal)


def test_connect__what_is_not_callable_is_refused(signal: Any, settings: Settings) -> None:
    settings.DEBUG = True
    with pytest.raises(TypeError, match=r"Signal receivers must be callable\."):
        signal.connect(object())
    assert_clean(signal)


def test_connect__again_and_again_is_once(signal: Any) -> None:
    listener = Echo()
    for _ in range(6):
        signal.connect(listener)
    answers = signal.send(sender=None, val="test")
    assert len(answers) == len(signal.receivers) == 1
    del listener, answers
    garbage_collect()
    assert_clean(signal)


def test_connect__two_under_one_uid_are_the_first(signal: Any) -> None:
    def first(**kwargs: Any) -> str:
        return "first"

    def second(**kwargs: Any) -> str:
        return "second"

    signal.connect(first, dispatch_uid="uid")
    signal.connect(second, dispatch_uid="uid")
    assert signal.send(sender=None, val=1) == [(first, "first")]
    assert signal.disconnect(dispatch_uid="uid")
    assert_clean(signal)


def test_connect__strongly_keeps_the_receiver(signal: Any) -> None:
    signal.connect(Echo(), weak=False)
    garbage_collect()
    assert [answer for _, answer in signal.send(sender=None, val="kept")] == ["kept"]


def test_connect__takes_a_weak_reference_only_where_asked(signal: Any) -> None:
    with mock.patch("weakref.ref") as reference:
        signal.connect(echo)
        signal.disconnect(echo)
        assert reference.called
        reference.reset_mock()
        signal.connect(echo, weak=False)
        signal.disconnect(echo)
        reference.assert_not_called()


# Sending


def test_send__to_those_of_the_sender(signal: Any) -> None:
    sender = object()
    signal.connect(echo, sender=sender)
    assert signal.send(sender=sender, val="test") == [(echo, "test")]
    signal.disconnect(echo, sender=sender)
    assert_clean(signal)


def test_send__to_nobody(signal: Any) -> None:
    assert signal.send(sender=object(), val="test") == []


def test_send__to_those_of_any_sender(signal: Any) -> None:
    signal.connect(echo)
    assert signal.send(sender=object(), val="test") == [(echo, "test")]
    signal.disconnect(echo)
    assert_clean(signal)


def test_send__not_to_those_of_another_sender(signal: Any) -> None:
    signal.connect(echo, sender=object)
    assert signal.send(sender=object(), val="test") == []
    signal.disconnect(echo, sender=object)
    assert_clean(signal)


def test_send__gives_signal_and_sender(signal: Any) -> None:
    given: dict[str, Any] = {}

    def take(**kwargs: Any) -> None:
        given.update(kwargs)

    signal.connect(take)
    signal.send(sender="somebody", val=1)
    assert given == {"signal": signal, "sender": "somebody", "val": 1}


def test_send__what_a_receiver_raises_ends_it(signal: Any) -> None:
    heard: list[int] = []

    def fails(**kwargs: Any) -> None:
        raise Failure

    def hears(**kwargs: Any) -> None:
        heard.append(1)

    signal.connect(fails)
    signal.connect(hears)
    with pytest.raises(Failure):
        signal.send(sender=None, val=1)
    assert heard == []


def test_send__receivers_that_disconnect_themselves_all_run(signal: Any) -> None:
    class Once:
        ran = False

        def __call__(self, signal: Any, sender: Any, **kwargs: Any) -> None:
            self.ran = True
            signal.disconnect(receiver=self, sender=sender)

    first, second = Once(), Once()
    signal.connect(first, sender=Echo, weak=False)
    signal.connect(second, sender=Echo, weak=False)
    signal.send(sender=Echo, val=1)
    assert first.ran
    assert second.ran
    assert signal.receivers == []


# Garbage


def test_garbage__method_of_a_lost_object_is_forgotten(signal: Any) -> None:
    listener = Echo()
    sender = object()
    signal.connect(listener.method, sender=sender)
    del listener
    garbage_collect()
    assert signal.send(sender=sender, val="test") == []
    assert_clean(signal)


def test_garbage__cache_keeps_no_sender_alive(make: Make) -> None:
    class Sender:
        pass

    caching = make(use_caching=True)
    reference = weakref.ref(Sender)
    caching.connect(echo)
    caching.send(Sender, val="garbage")
    del Sender
    garbage_collect()
    assert reference() is None


def test_cache__knows_of_later_changes(make: Make) -> None:
    caching = make(use_caching=True)
    assert caching.use_caching is True
    assert caching.send(Echo, val=1) == []
    caching.connect(echo)
    assert caching.send(Echo, val=1) == [(echo, 1)]
    assert caching.has_listeners(Echo)
    caching.disconnect(echo)
    assert caching.send(Echo, val=1) == []
    assert not caching.has_listeners(Echo)


# Sending robustly


def test_send_robust__answers(signal: Any) -> None:
    signal.connect(echo)
    assert signal.send_robust(sender=object(), val="test") == [(echo, "test")]
    signal.disconnect(echo)
    assert_clean(signal)


def test_send_robust__to_nobody(signal: Any) -> None:
    assert signal.send_robust(sender=object(), val="test") == []


def test_send_robust__error_is_an_answer_and_is_logged(signal: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fails(val: Any, **kwargs: Any) -> None:
        raise ValueError("this")

    signal.connect(fails)
    with caplog.at_level(logging.ERROR, "django.dispatch"):
        [(_, error)] = signal.send_robust(sender=object(), val="test")
    assert isinstance(error, ValueError)
    assert error.args == ("this",)
    assert isinstance(error.__traceback__, TracebackType)
    [record] = caplog.records
    assert record.getMessage() == f"Error calling {fails.__qualname__} in Signal.send_robust() (this)"
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    signal.disconnect(fails)
    assert_clean(signal)


# Disconnecting


def test_disconnect__with_one_lost_meanwhile(signal: Any) -> None:
    first, second, third = Echo(), Echo(), Echo()
    for listener in (first, second, third):
        signal.connect(listener)
    signal.disconnect(first)
    del second, listener
    signal.disconnect(third)
    garbage_collect()
    assert_clean(signal)


def test_disconnect__says_whether_there_was_one(signal: Any) -> None:
    connected, stranger = Echo(), Echo()
    signal.connect(connected)
    assert signal.disconnect(connected) is True
    assert signal.disconnect(connected) is False
    assert signal.disconnect(stranger) is False
    assert_clean(signal)


def test_has_listeners__of_a_sender_and_of_any(signal: Any) -> None:
    assert not signal.has_listeners()
    assert not signal.has_listeners(sender=object())
    listener = Echo()
    signal.connect(listener)
    assert signal.has_listeners()
    assert signal.has_listeners(sender=object())
    signal.disconnect(listener)
    assert not signal.has_listeners()
    assert not signal.has_listeners(sender=object())


# The decorator


def test_receiver__of_one_signal(signal: Any) -> None:
    heard: list[Any] = []

    @receiver(signal)
    def listen(val: Any, **kwargs: Any) -> None:
        heard.append(val)

    signal.send(sender=object(), val=True)
    assert heard == [True]


def test_receiver__of_a_list_of_signals(make: Make) -> None:
    a, b, c = make(), make(), make()
    heard: list[Any] = []

    @receiver([a, b, c])
    def listen(val: Any, **kwargs: Any) -> None:
        heard.append(val)

    a.send(sender=object(), val="a")
    c.send(sender=object(), val="c")
    b.send(sender=object(), val="b")
    assert heard == ["a", "c", "b"]


# Asynchronous receivers

WAYS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "send": lambda signal: signal.send,
    "send_robust": lambda signal: signal.send_robust,
    "asend": lambda signal: async_to_sync(signal.asend),
    "asend_robust": lambda signal: async_to_sync(signal.asend_robust),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
robust_ways = pytest.mark.parametrize(
    "way", [WAYS["send_robust"], WAYS["asend_robust"]], ids=["send", "asend"]
)
plain_ways = pytest.mark.parametrize("way", [WAYS["send"], WAYS["asend"]], ids=["send", "asend"])


@every_way
def test_async__synchronous_receivers_run_first(signal: Any, way: Any) -> None:
    blocking, waiting = Counting(), CountingAsync()
    signal.connect(waiting)
    signal.connect(blocking)
    assert way(signal)(Echo, val=1) == [(blocking, 1), (waiting, 1)]


@every_way
def test_async__only_asynchronous_receivers(signal: Any, way: Any) -> None:
    waiting = CountingAsync()
    signal.connect(waiting)
    assert way(signal)(Echo, val=1) == [(waiting, 1)]


@every_way
def test_async__to_nobody(signal: Any, way: Any) -> None:
    assert way(signal)(Echo, val=1) == []


@robust_ways
def test_async__robust_keeps_the_error_as_the_answer(signal: Any, way: Any) -> None:
    failure = Failure()

    async def fails(**kwargs: Any) -> None:
        raise failure

    blocking, waiting = Counting(), CountingAsync()
    signal.connect(fails)
    signal.connect(waiting)
    signal.connect(blocking)
    assert way(signal)(Echo, val=1) == [(blocking, 1), (fails, failure), (waiting, 1)]


@plain_ways
def test_async__what_one_raises_is_raised(signal: Any, way: Any) -> None:
    async def fails(**kwargs: Any) -> None:
        raise Failure

    signal.connect(fails)
    with pytest.raises((Failure, ExceptionGroup)) as caught:
        way(signal)(Echo, val=1)
    # Later versions of Django run them in a task group.
    assert isinstance(getattr(caught.value, "exceptions", [caught.value])[0], Failure)


@every_way
def test_async__asynchronous_receivers_run_side_by_side(signal: Any, way: Any) -> None:
    met: list[str] = []
    arrived: dict[str, asyncio.Event] = {}

    async def first(**kwargs: Any) -> None:
        arrived["first"] = asyncio.Event()
        await asyncio.wait_for(arrived["first"].wait(), timeout=5)
        met.append("first")

    async def second(**kwargs: Any) -> None:
        # It would wait in vain, were it run only when the first has ended.
        arrived["first"].set()
        met.append("second")

    signal.connect(first)
    signal.connect(second)
    way(signal)(Echo, val=1)
    assert met == ["second", "first"]
