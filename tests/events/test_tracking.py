"""`track=`: what a save changed, as `event.changes` (field: before, after)."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import django
import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.db.models import F
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from events import Event, muted
from events.testing import CapturedEvents, captured_events, drain
from tests.api.models import Person
from tests.events.conftest import Offloaded
from tests.shop.models import Effect, Item, Tag

pytestmark = pytest.mark.django_db

FIELDS = ("name", "born", "likes", "photo", "score", "boss")
happened = Event("shop.happened")


def note_changes(sender: Any, event: Any, **kwargs: Any) -> None:
    note = repr(dict(event.changes))
    Effect.objects.create(receiver="note_changes", key=event.idempotency_key, note=note)


def receive(sender: Any, **kwargs: Any) -> None: ...


@pytest.fixture(autouse=True)
def _tracking(offloaded: Offloaded) -> None:
    offloaded(note_changes, post_save, sender=Person, track=FIELDS)


def changes(events: CapturedEvents) -> list[dict[str, Any]]:
    """As the envelopes hold them."""
    return [json.loads(event.emission.envelope)["data"].get("changes", {}) for event in events]


def ann(**given: Any) -> Person:
    """A loaded row."""
    return Person.objects.get(pk=Person.objects.create(**{"name": "Ann", **given}).pk)


def test_created__everything_from_nothing() -> None:
    with captured_events() as events:
        Person.objects.create(name="Ann", score=3)
    [found] = changes(events)
    assert found == {
        "name": [None, "Ann"],
        "likes": [None, "{}"],
        "photo": [None, ""],
        "score": [None, 3],
    }


def test_created__with_a_key_of_its_own() -> None:
    with captured_events() as events:
        Person.objects.create(pk=5, name="Ann")
    [found] = changes(events)
    assert found["name"] == [None, "Ann"]


def test_loaded__what_changed_before_and_after() -> None:
    person = ann()
    with captured_events() as events:
        person.name = "Anna"
        person.save()
    assert changes(events) == [{"name": ["Ann", "Anna"]}]


def test_loaded__nothing_changed() -> None:
    person = ann()
    with captured_events() as events:
        person.save()
    assert changes(events) == [{}]
    assert "changes" not in events[0].envelope.data


def test_loaded__changed_and_changed_back() -> None:
    person = ann()
    with captured_events() as events:
        person.name = "Anna"
        person.name = "Ann"
        person.save()
    assert changes(events) == [{}]


def test_receiver__has_values_of_the_fields_own_types() -> None:
    boss = Person.objects.create(name="Boss")
    person = ann(likes={"tea": 1})
    drain()
    Effect.objects.all().delete()
    person.born, person.likes, person.boss = date(2000, 2, 29), {"tea": 2}, boss
    person.save()
    drain()
    assert Effect.objects.get().note == repr(
        {
            "born": (None, date(2000, 2, 29)),
            "likes": ({"tea": 1}, {"tea": 2}),
            "boss_id": (None, boss.pk),
        }
    )


def test_second_save__starts_from_the_first() -> None:
    person = ann()
    with captured_events() as events:
        person.name = "Anna"
        person.save()
        person.name = "Annabel"
        person.save()
        person.save()
    assert changes(events) == [{"name": ["Ann", "Anna"]}, {"name": ["Anna", "Annabel"]}, {}]


def test_created_then_saved__starts_from_what_was_created() -> None:
    person = Person(name="Ann")
    with captured_events() as events:
        person.save()
        person.name = "Anna"
        person.save()
    assert changes(events)[1] == {"name": ["Ann", "Anna"]}


def test_update_fields__only_what_is_written() -> None:
    person = ann()
    with captured_events() as events:
        person.name, person.score = "Anna", 7
        person.save(update_fields=["score"])
        person.save(update_fields=["name"])
        person.save()
    assert changes(events) == [{"score": [0, 7]}, {"name": ["Ann", "Anna"]}, {}]


def test_update_fields__foreign_key_by_either_name() -> None:
    boss = Person.objects.create(name="Boss")
    for name in ("boss", "boss_id"):
        person = ann()
        person.boss = boss
        with captured_events() as events:
            person.save(update_fields=[name])
        assert changes(events) == [{"boss_id": [None, boss.pk]}]


def test_deferred__unknown_before_is_no_change_and_no_query() -> None:
    pk = ann().pk
    person = Person.objects.only("score").get(pk=pk)
    with captured_events() as events:
        person.name, person.score = "Anna", 1
        with CaptureQueriesContext(
            connection,
        ) as queries:
            person.save()
    assert changes(events) == [{"score": [0, 1]}]
    assert len([q for q in queries if q["sql"].startswith("SELECT")]) == 0


def test_deferred__once_saved_it_is_known() -> None:
    pk = ann().pk
    person = Person.objects.only("score").get(pk=pk)
    person.name = "Anna"
    person.save()
    with captured_events() as events:
        person.name = "Annabel"
        person.save()
    assert changes(events) == [{"name": ["Anna", "Annabel"]}]


def test_deferred__once_loaded_it_is_known() -> None:
    pk = ann().pk
    person = Person.objects.only("score").get(pk=pk)
    with captured_events() as events:
        person.score = 5
        person.name += "a"
        person.save()
    assert changes(events) == [{"name": ["Ann", "Anna"], "score": [0, 5]}]


def test_refreshed__starts_from_what_was_loaded_then() -> None:
    person = ann()
    Person.objects.filter(pk=person.pk).update(name="Bob", score=2)
    with captured_events() as events:
        person.refresh_from_db()
        person.score = 3
        person.save()
    assert changes(events) == [{"score": [2, 3]}]


def test_refreshed__in_part() -> None:
    person = ann()
    Person.objects.filter(pk=person.pk).update(name="Bob", score=2)
    with captured_events() as events:
        person.name = "Anna"
        person.refresh_from_db(fields=["score"])
        person.save()
    assert changes(events) == [{"name": ["Ann", "Anna"]}]


def test_save_that_emitted_nothing__is_not_told_with_the_next() -> None:
    person = ann()
    with captured_events() as events:
        with muted():
            person.name = "Anna"
            person.save()
        person.score = 1
        person.save()
    assert changes(events) == [{"score": [0, 1]}]


def test_expression__its_value_is_not_known() -> None:
    person = ann(score=1)
    with captured_events() as events:
        person.name, person.score = "Anna", F("score") + 1  # type: ignore[assignment]  # Django's way to count
        person.save()
        person.score = 9
        person.save()
    if django.VERSION < (6, 0):
        # What it was before the second save only the database knows.
        assert changes(events) == [{"name": ["Ann", "Anna"]}, {}]
    else:
        # The database has said it with the save.
        assert changes(events) == [{"name": ["Ann", "Anna"], "score": [1, 2]}, {"score": [2, 9]}]


def test_same_value_in_another_type__is_no_change(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Item, track=("price",))
    item = Item.objects.get(pk=Item.objects.create(title="one", price="2.50").pk)
    person = ann(born=date(2000, 1, 1))
    with captured_events() as events:
        item.price = "2.50"  # type: ignore[assignment]  # as a form might
        item.save()
        person.born = "2000-01-01"  # type: ignore[assignment]  # the same
        person.save()
        item.price = Decimal("2.60")
        item.save()
    [first, second, third] = changes(events)
    assert "price" not in first
    assert second == {}
    assert third["price"] == ["2.50", "2.60"]


def test_document_changed_in_place__is_a_change() -> None:
    person = ann(likes={"tea": [1]})
    with captured_events() as events:
        person.likes["tea"].append(2)
        person.save()
    [found] = changes(events)
    assert [json.loads(text) for text in found["likes"]] == [{"tea": [1]}, {"tea": [1, 2]}]


def test_document_of_what_cannot_be_copied__fails_no_save() -> None:
    person = ann()

    class Uncopied(dict[str, int]):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("no copies")

    with captured_events() as events:
        person.likes = Uncopied(tea=1)
        person.save()
    [found] = changes(events)
    assert found["likes"] == ["{}", '{"tea": 1}']


def test_document_with_a_secret__stays_at_home(caplog: pytest.LogCaptureFixture) -> None:
    person = ann()
    with captured_events() as events:
        person.likes = {"api_key": "planted"}
        person.name = "Anna"
        person.save()
    assert changes(events) == [{"name": ["Ann", "Anna"]}]
    assert events[0].envelope.data["withheld"] == ["likes"]
    assert "planted" not in events[0].emission.envelope
    assert "planted" not in caplog.text


def test_file__by_name(settings: Settings, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = str(tmp_path)
    person = ann()
    with captured_events() as events:
        person.photo.save("a.txt", ContentFile("a"))
        person.photo = ""
        person.save()
    [first, second] = [found["photo"] for found in changes(events)]
    assert first[0] == ""
    assert first[1].startswith("people/a")
    assert second == [first[1], ""]


def test_tracked__by_several_receivers_is_told_to_all(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Item, track=("price",))
    # The shop tracks the title.
    item = Item.objects.get(pk=Item.objects.create(title="one").pk)
    with captured_events() as events:
        item.title, item.price = "two", Decimal("3.00")
        item.save()
    [found] = changes(events)
    assert found == {"title": ["one", "two"], "price": ["1.00", "3.00"]}


def test_untracked_model__carries_nothing(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Tag)
    tag = Tag.objects.create(name="red")
    with captured_events() as events:
        tag.name = "blue"
        tag.save()
    assert changes(events) == [{}]
    assert [name for name in vars(tag) if "events" in name] == []


def test_loading__causes_no_query() -> None:
    pk = ann().pk
    with CaptureQueriesContext(connection) as queries:
        list(Person.objects.only("name").filter(pk=pk))
    assert len(queries) == 1
