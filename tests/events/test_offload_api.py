"""`offload` and what it refuses: at import, naming the thing and the remedy."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from django.core.signals import setting_changed
from django.db.backends.signals import connection_created
from django.db.models import signals
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import Signal
from django.test.signals import template_rendered
from pytest_django import Settings

from events import Backoff, Event, InvalidOffload, Skip, offload
from events.bus import Publisher
from events.registry import registry
from events.testing import Drained, captured_events, drain
from tests.events.conftest import Offloaded
from tests.shop.models import Effect, Item, Tag

held = Signal()
HERE = __name__


def receive(sender: Any, **kwargs: Any) -> None: ...


def receive_too(sender: Any, **kwargs: Any) -> None: ...


def stacked(sender: Any, event: Any, **kwargs: Any) -> None:
    Effect.objects.create(receiver="stacked", key=event.idempotency_key, note=event.type)


async def receive_async(sender: Any, event: Any, **kwargs: Any) -> None:
    await Effect.objects.acreate(receiver="async", key=event.idempotency_key)


def skip(sender: Any, **kwargs: Any) -> None:
    raise Skip("not today")


def without_kwargs(sender: Any) -> None: ...


def of_many_and_more(occurrences: Any, instance: Any) -> None: ...


def of_nothing() -> None: ...


def yielding(sender: Any, **kwargs: Any) -> Any:
    yield


async def yielding_async(sender: Any, **kwargs: Any) -> Any:
    yield


class Shop:
    def method(self, sender: Any, **kwargs: Any) -> None: ...

    @classmethod
    def of_class(cls, sender: Any, **kwargs: Any) -> None: ...

    def __call__(self, sender: Any, **kwargs: Any) -> None: ...


def refused(function: Any, signal: Any = held, **options: Any) -> str:
    with pytest.raises(InvalidOffload) as caught:
        offload(signal, **options)(function)
    assert all(receiver.function is not function for receiver in registry)
    return str(caught.value)


# What can't be offloaded: signals


@pytest.mark.parametrize(
    ("signal", "name", "instead"),
    [
        (signals.pre_init, "pre_init", "post_save"),
        (signals.post_init, "post_init", "post_save"),
        (signals.pre_save, "pre_save", "post_save"),
        (signals.pre_delete, "pre_delete", "post_delete"),
        (
            signals.class_prepared,
            "class_prepared",
            "a synchronous receiver: it runs before any worker exists",
        ),
        (
            signals.pre_migrate,
            "pre_migrate",
            "a synchronous receiver: its work must be done before the migration",
        ),
        (
            connection_created,
            "connection_created",
            "a synchronous receiver: it prepares the connection it is given",
        ),
        (setting_changed, "setting_changed", "a synchronous receiver: tests need its effect at once"),
        (template_rendered, "template_rendered", "a synchronous receiver: tests need its effect at once"),
    ],
)
def test_refused__signals_wanted_in_place(signal: Signal, name: str, instead: str) -> None:
    assert refused(receive, signal) == (
        f"{name} can't be offloaded: it is sent before the write, or its result is needed in place. Use {instead}."
    )


def test_refused__one_such_among_a_list() -> None:
    assert refused(receive, [post_save, signals.pre_save]).startswith("pre_save can't be offloaded")


@pytest.mark.parametrize("signal", [receive, None, 3])
def test_refused__no_signal_at_all(signal: Any) -> None:
    assert refused(receive, signal) == (
        f"offload() takes a signal or a list of signals, got {signal!r}: write @offload(post_save, …)."
    )


def test_refused__no_signals() -> None:
    assert refused(receive, []) == "offload() takes a signal or a list of signals, got an empty list."


def test_refused__bare_decorator() -> None:
    with pytest.raises(InvalidOffload, match=r"write @offload\(post_save, …\)"):
        offload(receive)  # type: ignore[arg-type]  # the mistake


@pytest.mark.django_db
@pytest.mark.parametrize("act", ["add", "remove", "clear"])
def test_pre_actions_of_m2m__never_emit(offloaded: Offloaded, act: str) -> None:
    offloaded(receive, m2m_changed, sender=Item.tags.through)
    item, tag = Item.objects.create(title="one"), Tag.objects.create(name="red")
    if act != "add":
        item.tags.add(tag)
    heard: list[str] = []

    def hear(action: str, **kwargs: Any) -> None:
        heard.append(action)

    m2m_changed.connect(hear, sender=Item.tags.through)
    with captured_events() as events:
        getattr(item.tags, act)(*([] if act == "clear" else [tag]))
    m2m_changed.disconnect(hear, sender=Item.tags.through)
    assert heard == [f"pre_{act}", f"post_{act}"]
    assert [event.arguments["action"] for event in events] == [f"post_{act}"]


# What can't be offloaded: functions


def test_refused__lambda() -> None:
    assert refused(lambda **kwargs: kwargs) == (
        f"{HERE}.test_refused__lambda.<locals>.<lambda>: a lambda has no name that a worker could find. "
        f"Write a function."
    )


def test_refused__nested_function() -> None:
    def nested(sender: Any, **kwargs: Any) -> None: ...

    assert refused(nested) == (
        f"{HERE}.test_refused__nested_function.<locals>.nested: a nested function can't be found by a worker. "
        f"Move it to module level."
    )


def test_refused__function_in_a_class() -> None:
    assert (
        refused(Shop.method) == f"{HERE}.Shop.method: a method can't be offloaded. Move it to module level."
    )


@pytest.mark.parametrize("bound", [Shop().method, Shop.of_class])
def test_refused__bound_method(bound: Any) -> None:
    assert refused(bound) == (
        f"{HERE}.{bound.__qualname__}: only a module-level function can be offloaded, not a method. "
        f"Write a function that calls it."
    )


def test_refused__partial() -> None:
    partial = functools.partial(receive, extra=1)
    assert refused(partial) == (
        f"A partial can't be offloaded: a worker could not find it. Write a function for {partial}."
    )


def test_refused__callable_instance() -> None:
    shop = Shop()
    assert refused(shop) == (
        f"{HERE}.{shop!r}: only a module-level function can be offloaded, not a Shop. "
        f"Write a function that calls it."
    )


def test_refused__class() -> None:
    assert refused(Shop) == (
        f"{HERE}.Shop: only a module-level function can be offloaded, not a type. "
        f"Write a function that calls it."
    )


def test_refused__receiver_without_kwargs() -> None:
    assert refused(without_kwargs) == (
        f"{HERE}.without_kwargs: a receiver accepts **kwargs, as Django asks of every receiver."
    )


@pytest.mark.parametrize("function", [of_many_and_more, of_nothing])
def test_refused__many_that_takes_no_list(function: Any) -> None:
    assert refused(function, many=True) == (
        f"{HERE}.{function.__name__}: with many=True a receiver takes one argument, the list of occurrences."
    )


# What can't be offloaded: two of one name


def test_refused__two_receivers_of_one_name(offloaded: Offloaded) -> None:
    offloaded(receive, held, name="shop.the_name")
    assert refused(receive_too, name="shop.the_name") == (
        f"Two receivers are called 'shop.the_name': {line_of(receive)} and {line_of(receive_too)}. "
        f"Give one of them offload(…, name='…')."
    )


def test_refused__name_that_is_anothers_alias(offloaded: Offloaded) -> None:
    offloaded(receive, held, aliases=("shop.old_name",))
    assert refused(receive_too, name="shop.old_name") == (
        f"The name 'shop.old_name' of {line_of(receive_too)} is taken by {line_of(receive)}. "
        f"Give one of them offload(…, name='…')."
    )


def test_refused__alias_that_is_anothers_name(offloaded: Offloaded) -> None:
    offloaded(receive, held)
    assert f"The name '{HERE}.receive' of " in refused(receive_too, aliases=(f"{HERE}.receive",))


def test_refused__same_function_with_other_options(offloaded: Offloaded) -> None:
    offloaded(receive, held, queue="audit")
    with pytest.raises(InvalidOffload) as caught:
        offload(post_save, queue="emails")(receive)
    assert str(caught.value) == (
        f"'{HERE}.receive' is offloaded twice with different options; a receiver is one Celery task: "
        f"only signal, sender, when and track may differ between its @offload lines."
    )


def line_of(function: Any) -> str:
    return f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"


# What can't be offloaded: options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch=0: a message carries at least one event."),
        ({"batch": "10"}, "batch='10': a message carries at least one event."),
        ({"batch": True}, "batch=True: a message carries at least one event."),
        ({"missing": "drop"}, "missing='drop' is none of 'skip', 'retry', 'none'."),
        ({"missing": None}, "missing=None is none of 'skip', 'retry', 'none'."),
        ({"retry": 5}, "retry=5 must be a Backoff: retry=Backoff(tries=5)."),
        ({"time_limit": 0}, "time_limit=0 must be a number of seconds above 0, or None."),
        ({"time_limit": "1m"}, "time_limit='1m' must be a number of seconds above 0, or None."),
        ({"time_limit": float("nan")}, "time_limit=nan must be a number of seconds above 0, or None."),
        ({"time_limit": float("inf")}, "time_limit=inf must be a number of seconds above 0, or None."),
        ({"atomic": "no"}, "atomic='no' must be True or False."),
        ({"many": "yes"}, "many='yes' must be True or False."),
        ({"raw": 0}, "raw=0 must be True or False."),
        ({"queue": ""}, "queue='' must be the name of a queue, of 1 to 100 characters."),
        ({"queue": None}, "queue=None must be the name of a queue, of 1 to 100 characters."),
        (
            {"give_up_on": ("ValueError",)},
            "give_up_on holds 'ValueError', which is no exception class: give_up_on=(ValueError,).",
        ),
        ({"give_up_on": 3}, "give_up_on holds 3, which is no exception class: give_up_on=(ValueError,)."),
    ],
)
def test_refused__option(options: dict[str, Any], message: str) -> None:
    assert refused(receive, **options) == f"'{HERE}.receive': {message}"


@pytest.mark.parametrize("name", ["", "x" * 201, 5])
def test_refused__name_that_fits_no_column(name: Any) -> None:
    rule = f"a receiver's name is a text of 1 to 200 characters, not {name!r:.40}."
    assert refused(receive, name=name) == f"{name!r}: {rule}"


@pytest.mark.parametrize("name", ["shop.note ", " shop.note", "\n"])
def test_refused__name_with_a_blank_around_it(name: str) -> None:
    """To MySQL it is the same as the name without: one of the two would get no delivery."""
    rule = f"a receiver's name begins and ends without a blank, not {name!r}."
    assert refused(receive, name=name) == f"{name!r}: {rule}"


def test_refused__alias_that_fits_no_column() -> None:
    assert refused(receive, aliases=("x" * 201,)).endswith(f"not {'x' * 201!r:.40}.")


@pytest.mark.parametrize("function", [yielding, yielding_async])
def test_refused__generator(function: Any) -> None:
    assert refused(function) == (
        f"{HERE}.{function.__name__}: a generator can't be offloaded: calling it runs nothing. Take out the yield."
    )


@pytest.mark.parametrize("option", ["aliases", "track"])
def test_refused__text_where_texts_are_asked_for(option: str) -> None:
    # Taken for its letters it would be ten aliases.
    assert refused(receive, sender=Item, **{option: "title"}) == (
        f"{option}='title' must be a tuple of texts: {option}=('title',)."
    )


def test_refused__condition_that_is_none() -> None:
    assert refused(receive, when="created") == (
        "when='created' must be callable: when=lambda sender, **kwargs: …."
    )


def test_refused__senders_in_a_list() -> None:
    assert refused(receive, post_save, sender=[Item, Tag]) == (
        f"sender={[Item, Tag]!r} is a collection; stack one @offload line per sender."
    )


def test_refused__sender_that_names_no_model() -> None:
    with pytest.raises(InvalidOffload, match=r"sender='Item' is no model; write it 'app\.Model'\."):
        offload(post_save, sender="Item")(receive)
    offload.disconnect(receive)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("titel", "track: shop.Item has no column 'titel'."),
        ("tags", "track: shop.Item has no column 'tags'."),
        ("api_token", "track: shop.Item.api_token is sensitive and doesn't travel."),
    ],
)
def test_refused__tracked_field(field: str, message: str) -> None:
    with pytest.raises(InvalidOffload) as caught:
        offload(post_save, sender=Item, track=(field,))(receive)
    offload.disconnect(receive)
    assert str(caught.value) == message


def test_refused__tracking_without_a_model() -> None:
    with pytest.raises(InvalidOffload, match="track= needs sender= a model"):
        offload(post_save, track=("title",))(receive)
    offload.disconnect(receive)


@pytest.mark.parametrize(
    "given",
    [
        {"tries": 0},
        {"tries": 1.5},
        {"first": -1},
        {"factor": 0.5},
        {"limit": -1},
        {"jitter": 1},
        {"jitter": -0.1},
        {"tries": True},
        {"first": "1"},
        {"first": float("inf")},
        {"limit": float("nan")},
        {"factor": None},
    ],
)
def test_backoff__refuses_what_makes_no_sense(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a whole number of tries >= 1, first >= 0") as caught:
        Backoff(**given)
    [(name, value)] = given.items()
    assert f"{name}={value!r}" in str(caught.value)


# What can be offloaded


def test_offloaded__function_is_returned_unchanged_and_runs_here(offloaded: Offloaded) -> None:
    assert offload(held)(receive) is receive
    assert receive(sender=None) is None
    assert offload.disconnect(receive)


def test_disconnect__says_whether_there_was_one(offloaded: Offloaded) -> None:
    offloaded(receive, held)
    assert offload.disconnect(receive) is True
    assert offload.disconnect(receive) is False
    assert f"{HERE}.receive" not in registry


@pytest.mark.django_db
def test_disconnect__nothing_is_emitted_any_more(offloaded: Offloaded) -> None:
    offloaded(receive, held)
    offloaded(receive_too, held)
    offload.disconnect(receive)
    with captured_events() as events:
        held.send(sender=None)
    assert [event.receivers for event in events] == [(f"{HERE}.receive_too",)]
    offload.disconnect(receive_too)
    assert not held.has_listeners()


def test_disconnect__before_its_model_was_loaded() -> None:
    from django.apps import apps

    offload(post_save, sender="shop.Late")(receive)
    offload.disconnect(receive)
    [connect] = apps._pending_operations.pop(("shop", "late"))
    connect(Tag)
    assert all(binding.receiver.function is not receive for binding in registry.bindings())


@pytest.mark.django_db
def test_offloaded__stacked_lines_are_one_receiver(offloaded: Offloaded) -> None:
    offloaded(stacked, post_save, sender=Tag)
    offloaded(stacked, post_delete, sender=Tag)
    assert sum(receiver.function is stacked for receiver in registry) == 1
    Tag.objects.create(name="red").delete()
    drain()
    notes = Effect.objects.filter(receiver="stacked").values_list("note", flat=True)
    assert sorted(notes) == ["shop.tag.created", "shop.tag.deleted"]


@pytest.mark.django_db
def test_offloaded__same_line_twice_emits_once(offloaded: Offloaded) -> None:
    # As when a module is imported under two names: the name is the dispatch_uid.
    offloaded(stacked, post_save, sender=Tag)
    offloaded(stacked, post_save, sender=Tag)
    with captured_events() as events:
        Tag.objects.create(name="red")
    assert len(events) == 1
    assert drain() == Drained(done=1)


@pytest.mark.django_db
def test_offloaded__async_function(offloaded: Offloaded) -> None:
    offloaded(receive_async, held)
    held.send(sender=None)
    assert drain() == Drained(done=1)
    assert Effect.objects.filter(receiver="async").count() == 1


@pytest.mark.django_db
def test_offloaded__skip_ends_as_skipped(offloaded: Offloaded) -> None:
    offloaded(skip, held)
    held.send(sender=None)
    assert drain() == Drained(skipped=1)


@pytest.mark.django_db
def test_offloaded__under_a_name_of_its_own(offloaded: Offloaded) -> None:
    offloaded(receive, held, name="shop.own")
    with captured_events() as events:
        held.send(sender=None)
    assert events[0].receivers == ("shop.own",)


@pytest.mark.django_db
def test_offloaded__later_on__hears_what_is_sent_from_then_on(offloaded: Offloaded) -> None:
    offloaded(receive, held, sender=Item)
    heard = []
    for function, sender in ((None, None), (receive_too, Item), (skip, None)):
        if function:
            offloaded(function, held, sender=sender)
        with captured_events() as events:
            held.send(sender=Item)
        heard.append([name.rpartition(".")[2] for name in events[0].receivers])
    offload.disconnect(receive)
    with captured_events() as events:
        held.send(sender=Item)
    heard.append([name.rpartition(".")[2] for name in events[0].receivers])
    assert heard == [
        ["receive"],
        ["receive", "receive_too"],
        ["receive", "receive_too", "skip"],
        ["receive_too", "skip"],
    ]


@pytest.mark.django_db
def test_offloaded__while_another_thread_emits__is_not_forgotten(
    offloaded: Offloaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    offloaded(receive, held, sender=Item)
    listening = Publisher._listening

    def slowly(self: Publisher, sender: object) -> Any:
        found = list(listening(self, sender))
        monkeypatch.undo()
        offloaded(receive_too, held, sender=Item)
        return found

    monkeypatch.setattr(Publisher, "_listening", slowly)
    sent = []
    for _ in range(2):
        with captured_events() as events:
            held.send(sender=Item)
        sent.append(events[0].receivers)
    assert sent == [(f"{HERE}.receive",), (f"{HERE}.receive", f"{HERE}.receive_too")]


@pytest.mark.parametrize(
    ("routes", "queue"),
    [
        ({}, "audit"),
        ({"shop.*": "files"}, "files"),
        ({"*": "default", "shop.*": "files"}, "files"),
        ({"shop.*": "files", "shop.o*": "alerts"}, "alerts"),
        ({"shop.*": "files", "shop.own": "emails"}, "emails"),
        ({"other.*": "files"}, "audit"),
    ],
)
def test_routes__the_most_exact_wins(
    offloaded: Offloaded, settings: Settings, routes: dict[str, str], queue: str
) -> None:
    offloaded(receive, held, name="shop.own", queue="audit")
    settings.EVENTS = {**settings.EVENTS, "ROUTES": routes}
    assert registry.get("shop.own").route() == queue


def test_plain_signal__of_a_later_name_is_found_by_it(offloaded: Offloaded) -> None:
    from events.signal_names import signal_name

    signal = Signal()
    offloaded(receive, signal)
    globals()["late"] = signal
    offload(signal)(receive_too)
    try:
        assert signal_name(signal) == f"{HERE}.late"
    finally:
        del globals()["late"]
        signal_name.cache_clear()
        offload.disconnect(receive_too)


def test_event__is_a_signal_to_offload(offloaded: Offloaded) -> None:
    happened = Event("shop.happened")
    offloaded(receive, [happened, held])
    assert {binding.signal for binding in registry.bindings() if binding.receiver.function is receive} == {
        happened,
        held,
    }
