"""An event's envelope is made when it is written; it says what was so when its signal fired."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.test import RequestFactory

from events.capture import capture
from events.context import Cause, caused_by, emitted_in
from events.envelope import Envelope, decode
from events.fast_path import fast_path
from events.models import EventRecord
from tests.events.conftest import Offloaded
from tests.shop.models import Essay, Item, Tag
from tests.shop.signals import told
from tests.zoo.models import Specimen, TextKeyed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def left_to_the_relay() -> Iterator[None]:
    with fast_path.suspended():
        yield


def receive(sender: Any, **kwargs: Any) -> None: ...


def envelopes() -> list[Envelope]:
    return [decode(text) for text in EventRecord.objects.order_by("pk").values_list("envelope", flat=True)]


def arguments(instance: Any, **more: Any) -> dict[str, Any]:
    return {
        "instance": instance,
        "created": True,
        "update_fields": None,
        "raw": False,
        "using": "default",
        **more,
    }


def test_plain_row__may_wait() -> None:
    assert capture(post_save, Item, arguments(Item(pk=1, title="x"))).may_wait


def test_saved_twice_in_a_transaction__each_event_says_its_own() -> None:
    with transaction.atomic():
        item = Item.objects.create(title="first")
        item.title = "second"
        item.save()
        item.title = "never saved"
    first, second = envelopes()
    assert first.data["instance"]["title"] == "first"
    assert second.data["instance"]["title"] == "second"
    assert (first.type, second.type) == ("shop.item.created", "shop.item.updated")


def test_deleted__the_event_has_the_key_that_django_takes_away(offloaded: Offloaded) -> None:
    offloaded(receive, post_delete, sender=Tag)
    tag = Tag.objects.create(name="x")
    key = tag.pk
    with transaction.atomic():
        Tag.objects.filter(pk=key).delete()
        tag.delete()
    assert {envelope.subject for envelope in envelopes()} == {f"shop.tag/{key}"}


@pytest.mark.parametrize(
    ("field", "value", "change"),
    [
        ("json", {"a": 1}, lambda value: value.update(a=2)),
        ("binary", bytearray(b"one"), lambda value: value.extend(b"two")),
    ],
)
def test_value_that_is_changed_in_place__is_in_the_event_as_it_was(
    offloaded: Offloaded, field: str, value: Any, change: Any
) -> None:
    offloaded(receive, post_save, sender=Specimen)
    with transaction.atomic():
        Specimen.objects.create(**{field: value})
        before = EventRecord.objects.count()
        change(value)
    assert before == 0
    [changed] = envelopes()
    Specimen.objects.all().delete()
    EventRecord.objects.all().delete()
    Specimen.objects.create(**{field: type(value)(value)})
    [plain] = envelopes()
    assert changed.data["instance"][field] != plain.data["instance"][field]


def test_events_of_either_kind__are_in_the_order_they_were_emitted_in() -> None:
    """A custom event's arguments may be anything, so its envelope is made at once."""
    with transaction.atomic():
        Item.objects.create(title="first")
        told.send(sender=None, text="then")
        Item.objects.create(title="last")
    kinds = [envelope.type.rpartition(".")[0] or envelope.type for envelope in envelopes()]
    assert kinds == ["shop.item", kinds[1], "shop.item"]
    assert kinds[1] != "shop.item"


def test_time_and_cause__are_those_of_the_signal() -> None:
    cause = Cause(event_id=uuid.uuid4(), correlation_id=uuid.uuid4())
    with transaction.atomic():
        with caused_by(cause, None):
            Item.objects.create(title="caused")
        between = datetime.now(UTC)
        Item.objects.create(title="uncaused")
    caused, uncaused = envelopes()
    assert (caused.causationid, caused.correlationid) == (str(cause.event_id), str(cause.correlation_id))
    assert not uncaused.causationid
    assert uncaused.correlationid == uncaused.id
    assert datetime.fromisoformat(caused.time) <= between <= datetime.fromisoformat(uncaused.time)


def test_request__is_told_as_it_was(rf: RequestFactory) -> None:
    """Who logs in within a transaction hasn't done what came before."""
    user = User.objects.create(username="reader")
    request = rf.post("/")
    with transaction.atomic(), emitted_in(request, uuid.uuid4()):
        Item.objects.create(title="before")
        request.user = user
        Item.objects.create(title="after")
    assert [envelope.data["request"]["user_id"] for envelope in envelopes()] == [None, str(user.pk)]


def test_rolled_back__is_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr("events.occasion.encode", lambda envelope: made.append(envelope.type) or "{}")

    def save_and_fail() -> None:
        Item.objects.create(title="x")
        raise LookupError

    with pytest.raises(LookupError):
        transaction.atomic(save_and_fail)()
    assert made == []


@pytest.mark.parametrize(
    "more",
    [
        {"created": 1},
        {"note": "x"},
        {"update_fields": frozenset({1})},
        {"update_fields": ["title"]},
        {"using": ["default"]},
    ],
)
def test_arguments_that_are_not_djangos__do_not_wait(more: dict[str, Any]) -> None:
    """They may be of any size, equal to one another and not the same, or such as can't be encoded."""
    assert capture(post_save, Tag, arguments(Tag(pk=1))).may_wait
    assert not capture(post_save, Tag, arguments(Tag(pk=1), **more)).may_wait


def test_arguments_that_are_equal__each_travel_as_they_are(offloaded: Offloaded) -> None:
    with transaction.atomic():
        item = Item(pk=5, title="x")
        for created in (True, 1, 1.0):
            post_save.send(Item, **arguments(item, created=created))
    assert [json.dumps(envelope.data["args"]["created"]) for envelope in envelopes()] == ["true", "1", "1.0"]


@pytest.mark.parametrize(
    ("instance", "more"),
    [(TextKeyed(name="\ud800"), {}), (Tag(pk=10**5000), {}), (Tag(pk=5), {"\ud801": True})],
)
def test_what_cannot_be_encoded__fails_where_it_is_sent_and_spoils_nothing(
    offloaded: Offloaded, instance: Any, more: dict[str, Any]
) -> None:
    offloaded(receive, post_save, sender=type(instance))
    with transaction.atomic():
        with pytest.raises(ValueError):  # noqa: PT011 - of the encoder, or of int
            post_save.send(type(instance), **arguments(instance, **more))
        Item.objects.create(title="stands")
    assert [envelope.type for envelope in envelopes()] == ["shop.item.created"]


def test_what_is_held__counts_until_it_is_written(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=Essay, track=("text",))
    essay = Essay.objects.create(text="x" * 1000)
    EventRecord.objects.all().delete()
    essay = Essay.objects.get()
    essay.text = ""
    essay.save()
    waiting = capture(post_save, Essay, arguments(essay, created=False))
    assert waiting.may_wait
    assert waiting.size() >= 1000


def test_sent_by_hand_for_what_is_no_model__fails_where_it_is_sent(offloaded: Offloaded) -> None:
    offloaded(receive, post_save)
    with transaction.atomic():
        with pytest.raises(AttributeError):
            post_save.send(LookupError, **arguments(Item(pk=5, title="x")))
        Item.objects.create(title="stands")
    assert Item.objects.count() == 1
