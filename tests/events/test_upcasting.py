"""Events of an older version than the code declares are raised to it; newer ones wait for newer code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import checks
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events import Event, InvalidEvent, event, offload
from events.exceptions import MissingUpcaster
from events.models import Delivery, EventRecord, Refusal, State
from events.operations.redelivering import redeliver
from events.testing import Drained, drain, make_due
from tests.events.checking import levels, messages
from tests.events.conftest import Offloaded
from tests.events.operating import TWICE
from tests.shop.models import Item

in_database = pytest.mark.django_db(transaction=True)

NAME = "tests.moved"
Fields = dict[str, Any]
given: list[Fields] = []


@pytest.fixture(autouse=True)
def nothing_given() -> None:
    given.clear()


def note(sender: Any, signal: Any, event: Any, **fields: Any) -> None:
    given.append(fields)


def emit_as(version: int, *all_fields: Fields) -> None:
    """Send as another version of the code does, to the same receiver."""
    other = Event(NAME, version=version, fields=dict.fromkeys(all_fields[0], object))
    offload(other, retry=TWICE)(note)
    for fields in all_fields:
        other.send(**fields)
    offload.disconnect(note)


def moved_of(version: int, steps: dict[int, Callable[[Fields], Fields]], **fields: Any) -> Event[...]:
    moved = Event(NAME, version=version, **fields)
    for step_from, step in steps.items():
        moved.upcast(step_from)(step)
    return moved


# --- older events -----------------------------------------------------------------------------------------


@in_database
def test_older_event__is_raised_one_version_after_the_other(offloaded: Offloaded) -> None:
    emit_as(1, {"miles": 3})
    steps = {
        2: lambda fields: {"metres": fields["km"] * 1000, "by": fields["by"]},
        1: lambda fields: {"km": fields["miles"] * 2, "by": "foot"},
    }
    offloaded(note, moved_of(3, steps, metres=int, by=str), retry=TWICE)
    assert drain() == Drained(done=1)
    assert given == [{"metres": 6000, "by": "foot"}]


@in_database
def test_event_of_the_middle__takes_the_steps_after_it(offloaded: Offloaded) -> None:
    emit_as(2, {"km": 1})
    steps = {1: lambda _: {"km": -1}, 2: lambda fields: {"metres": fields["km"] * 1000}}
    offloaded(note, moved_of(3, steps, metres=int), retry=TWICE)
    drain()
    assert given == [{"metres": 1000}]


@in_database
def test_event_of_today__meets_no_upcaster(offloaded: Offloaded) -> None:
    moved = moved_of(2, {1: lambda _: {"km": -1}}, km=int)
    offloaded(note, moved)
    moved.send(km=5)
    drain()
    assert given == [{"km": 5}]


@in_database
def test_upcaster__may_change_the_dict_it_is_given(offloaded: Offloaded) -> None:
    def rename(fields: Fields) -> Fields:
        fields["kilometres"] = fields.pop("km")
        return fields

    emit_as(1, {"km": 5})
    offloaded(note, moved_of(2, {1: rename}, kilometres=int), retry=TWICE)
    drain()
    assert given == [{"kilometres": 5}]


@in_database
def test_upcaster__of_an_event_the_receiver_no_longer_listens_to(offloaded: Offloaded) -> None:
    emit_as(1, {"km": 5})
    moved = moved_of(2, {1: lambda fields: {"metres": fields["km"] * 1000}}, metres=int)
    offloaded(note, Event("tests.another"), retry=TWICE)
    drain()
    assert given == [{"metres": 5000}]
    assert moved.version == 2


# --- model instances --------------------------------------------------------------------------------------


@in_database
def test_instance__renamed_by_an_upcaster__is_fetched_once_for_the_batch(offloaded: Offloaded) -> None:
    items = [Item.objects.create(title=f"{number}") for number in range(5)]
    seen: list[Any] = []

    def rename(fields: Fields) -> Fields:
        seen.append(fields["item"].get_deferred_fields())
        return {"thing": fields["item"], "also": [fields["item"]]}

    emit_as(1, *({"item": item} for item in items))
    offloaded(note, moved_of(2, {1: rename}, thing=Item, also=list[Item]), retry=TWICE)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        drain()
    assert [fields["thing"] for fields in given] == items
    assert [fields["also"] for fields in given] == [[item] for item in items]
    assert not given[0]["thing"].get_deferred_fields()
    # Only its key is loaded, so that a step that merely passes it on costs nothing.
    assert seen == [{"title", "price", "api_token"}] * 5
    assert len([q for q in queries if 'FROM "shop_item"' in q["sql"] or "FROM `shop_item`" in q["sql"]]) == 1


@in_database
def test_instance__becomes_a_key__and_a_key_an_instance(offloaded: Offloaded) -> None:
    item = Item.objects.create(title="x")
    emit_as(1, {"item": item})
    steps = {
        1: lambda fields: {"item_id": fields["item"].pk},
        2: lambda fields: {"item": Item(pk=fields["item_id"])},
    }
    offloaded(note, moved_of(3, steps, item=Item), retry=TWICE)
    drain()
    assert [fields["item"].title for fields in given] == ["x"]


@in_database
def test_instance__read_by_an_upcaster__is_loaded_then(offloaded: Offloaded) -> None:
    emit_as(1, {"item": Item.objects.create(title="x")})
    offloaded(note, moved_of(2, {1: lambda fields: {"title": fields["item"].title}}, title=str), retry=TWICE)
    drain()
    assert given == [{"title": "x"}]


@in_database
def test_instance__of_a_model_that_was_removed__comes_as_a_reference(offloaded: Offloaded) -> None:
    emit_as(1, {"item": Item.objects.create(title="x")})
    record = EventRecord.objects.get(type=NAME)
    record.envelope = record.envelope.replace("shop.item", "shop.removed")
    record.save()
    keys: list[Any] = []

    def drop(fields: Fields) -> Fields:
        gone = fields.pop("item")
        keys.append((gone.model, gone.pk))
        return {"number": gone.pk}

    offloaded(note, moved_of(2, {1: drop}, number=int), retry=TWICE)
    drain()
    assert keys == [("shop.removed", Item.objects.get().pk)]
    assert given == [{"number": Item.objects.get().pk}]


# --- what goes wrong --------------------------------------------------------------------------------------


@in_database
def test_missing_upcaster__ends_as_a_dead_letter_that_names_it__and_runs_once_it_is_there(
    offloaded: Offloaded,
) -> None:
    emit_as(1, {"miles": 3})
    steps = {2: lambda fields: {"metres": fields["km"] * 1000}}
    offloaded(note, moved_of(3, steps, metres=int), retry=TWICE)
    assert drain() == Drained(retrying=1, dead=1)
    [dead] = Delivery.objects.all()
    assert dead.state == State.DEAD
    assert "<Event tests.moved> has no upcaster for version 1" in dead.error
    assert "MissingUpcaster" in dead.error
    # The deploy that adds it.
    offload.disconnect(note)
    offloaded(
        note,
        moved_of(3, steps | {1: lambda fields: {"km": fields["miles"] * 2}}, metres=int),
        retry=TWICE,
    )
    assert sum(redeliver("default", [dead.pk], by="a test")) == 1
    assert drain() == Drained(done=1)
    assert given == [{"metres": 6000}]


@in_database
def test_upcaster_that_fails_for_one__holds_up_no_other(offloaded: Offloaded) -> None:
    def fail_for_two(fields: Fields) -> Fields:
        return {"share": 1 / (fields["km"] - 2)}

    emit_as(1, *({"km": km} for km in (1, 2, 3)))
    offloaded(note, moved_of(2, {1: fail_for_two}, share=float), retry=TWICE)
    assert drain() == Drained(done=2, retrying=1, dead=1)
    assert sorted(fields["share"] for fields in given[-2:]) == [-1, 1]


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (lambda _: None, "returned NoneType: an upcaster returns the dict of fields."),
        (lambda _: {}, "<Event tests.moved> needs the field 'metres'"),
        (lambda _: {"metres": 1, "km": 1}, "<Event tests.moved> has no field 'km'; it has metres."),
        (lambda _: {"metres": "1"}, "<Event tests.moved>: 'metres' must be int, got str '1'."),
    ],
)
def test_upcaster__whose_result_does_not_fit__says_so(step: Any, problem: str) -> None:
    moved = moved_of(2, {1: step}, metres=int)
    with pytest.raises(InvalidEvent) as raised:
        moved.current({"km": 1}, 1)
    assert problem in str(raised.value)


def test_missing_upcaster__is_an_error_of_the_bus() -> None:
    with pytest.raises(MissingUpcaster, match=r"@….upcast\(1\), deploy it, and redeliver"):
        Event(NAME, version=2, km=int).current({}, 1)


@pytest.mark.parametrize("version", [0, 2, 3, -1, "1", True, None])
def test_upcast__from_a_version_that_is_not_older__is_refused(version: Any) -> None:
    with pytest.raises(InvalidEvent, match="at version 2: there is nothing to upcast from version"):
        Event(NAME, version=2).upcast(version)(lambda fields: fields)


def test_upcast__twice_from_one_version__is_refused() -> None:
    moved = moved_of(2, {1: lambda fields: fields})
    with pytest.raises(InvalidEvent, match="has two upcasters for version 1"):
        moved.upcast(1)(lambda _: {})


def test_upcast__returns_the_function() -> None:
    def step(fields: Fields) -> Fields:
        return fields

    moved = Event(NAME, version=2)
    assert moved.upcast(1)(step) is step
    # A module may be run twice by whoever imports it.
    assert moved.upcast(1)(step) is step


# --- fields with a default --------------------------------------------------------------------------------


@event("tests.sent_back")
def sent_back(*, item: str, why: str = "", marks: tuple[str, ...] = ("new",)) -> None: ...


def note_why(sender: Any, item: str, why: str, **kwargs: Any) -> None:
    given.append({"item": item, "why": why, "marks": kwargs["marks"]})


@in_database
def test_field_added_with_a_default__older_events_are_given_it(offloaded: Offloaded) -> None:
    before = Event("tests.sent_back", item=str)
    offload(before)(note_why)
    before.send(item="x")
    offload.disconnect(note_why)
    offloaded(note_why, sent_back)
    sent_back.send(item="y", why="broken")
    assert drain() == Drained(done=2)
    assert given == [
        {"item": "x", "why": "", "marks": ("new",)},
        {"item": "y", "why": "broken", "marks": ("new",)},
    ]


# --- newer events -----------------------------------------------------------------------------------------


@in_database
def test_newer_event__waits__uses_no_try__and_holds_up_no_other(offloaded: Offloaded) -> None:
    emit_as(2, {"km": 2})
    emit_as(1, {"miles": 1})
    today = Event(NAME, miles=int)
    offloaded(note, today, retry=TWICE)
    assert drain() == Drained(done=1)
    assert given == [{"miles": 1}]
    [waiting] = Delivery.objects.filter(state=State.WAITING)
    assert (waiting.tries, waiting.attempt, waiting.careful) == (0, 1, False)
    assert "lacks version 2 of the event 'tests.moved' (it has 1)" in waiting.error
    [refusal] = Refusal.objects.all()
    assert "version 2 of the event 'tests.moved' (it has 1)" in refusal.reason
    # Sent again, it is put back again; at last a worker has the code.
    make_due()
    assert drain() == Drained()
    offload.disconnect(note)
    offloaded(note, Event(NAME, version=2, km=int), retry=TWICE)
    make_due()
    assert drain() == Drained(done=1)
    assert given[1:] == [{"km": 2}]
    assert today.version == 1


@in_database
def test_newer_event__whose_data_names_a_version_too__waits(offloaded: Offloaded) -> None:
    emit_as(2, {"km": {"schemaversion": 1, "subject": '"schemaversion":1,'}})
    offloaded(note, Event(NAME, miles=int), retry=TWICE)
    assert drain() == Drained()
    assert given == []


@in_database
def test_newer_event__careful__keeps_its_try(offloaded: Offloaded) -> None:
    emit_as(2, {"km": 2})
    offloaded(note, Event(NAME, miles=int), retry=TWICE)
    drain()
    Delivery.objects.update(careful=True, tries=1)
    make_due()
    drain()
    [waiting] = Delivery.objects.all()
    assert (waiting.state, waiting.tries, waiting.careful, waiting.attempt) == (State.WAITING, 1, True, 2)
    assert given == []


# --- the checks -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("exemplary_databases")
def test_e019__gap_between_upcasters(offloaded: Offloaded) -> None:
    offloaded(note, moved_of(4, {1: dict, 3: dict}))
    assert messages() == [
        (
            "offload.E019",
            "The event 'tests.moved' has an upcaster for version 1 and none for version 2: older events can't become "
            "version 4.",
            "Decorate the function that raises them by one version with .upcast(2).",
        )
    ]
    assert levels() == [checks.ERROR]


@pytest.mark.usefixtures("exemplary_databases")
def test_w007__no_upcaster(offloaded: Offloaded) -> None:
    offloaded(note, Event(NAME, version=2))
    assert messages() == [
        (
            "offload.W007",
            "The event 'tests.moved' is at version 2 and has no upcaster for version 1: those still on their way would "
            "end as dead letters.",
            "Decorate a function with .upcast(1), or silence this when none of them is left.",
        )
    ]
    assert levels() == [checks.WARNING]


@pytest.mark.usefixtures("exemplary_databases")
def test_complete_chain__is_not_complained_about(offloaded: Offloaded) -> None:
    offloaded(note, moved_of(3, {1: dict, 2: dict}))
    assert messages() == []
