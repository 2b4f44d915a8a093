"""The AsyncAPI document: valid by the official schema, and true of what is emitted."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
import yaml
from django.contrib.auth.models import User
from django.utils import timezone
from jsonschema import Draft7Validator

from events import Event
from events.asyncapi import document
from events.asyncapi.schemas import of_hint
from events.models import EventRecord
from events.registry import registry
from events.serializers import dump_value
from events.testing import drain
from library.models import Book, Category
from library.signals import book_read, slow_request
from tests.events.conftest import Offloaded
from tests.events.operating import run

OFFICIAL = json.loads((Path(__file__).parent / "asyncapi" / "3.0.0.json").read_text())

peculiar = Event("tests.peculiar", count=int, note=str | None, day=date)


def listen(sender: Any, **kwargs: Any) -> None:
    """Listens & <learns>."""


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(value)]


def schema_of(kind: str) -> dict[str, Any]:
    return {**document(), "allOf": [{"$ref": f"#/components/messages/{kind.replace('*', 'any')}/payload"}]}


def test_document__is_valid_by_the_official_schema(offloaded: Offloaded) -> None:
    offloaded(listen, peculiar, name="a name with blanks / and * stars")
    assert faults(OFFICIAL, document()) == []


def test_document__every_receiver_takes_its_events_from_its_queue() -> None:
    found = document()
    assert set(found["operations"]) >= {receiver.name for receiver in registry}
    operation = found["operations"]["workers.recommendations.count_read_book"]
    assert operation["channel"] == {"$ref": "#/channels/recommendations"}
    assert operation["messages"] == [{"$ref": "#/channels/recommendations/messages/library.book_read"}]


def resolved(found: dict[str, Any], ref: str) -> Any:
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_document__every_reference_leads_somewhere() -> None:
    found = document()
    refs = [line.split('"')[3] for line in json.dumps(found, indent=1).splitlines() if '"$ref":' in line]
    assert refs
    for ref in refs:
        assert resolved(found, ref)


def test_declared_event__its_fields(offloaded: Offloaded) -> None:
    offloaded(listen, peculiar)
    args = schema_of("tests.peculiar")["components"]["messages"]["tests.peculiar"]["payload"]["allOf"][1]
    fields = args["properties"]["data"]["properties"]["args"]
    assert set(fields["properties"]) == {"count", "note", "day"}
    assert fields["required"] == ["count", "note", "day"]


@pytest.mark.django_db
def test_envelopes__of_all_kinds_are_as_the_document_says() -> None:
    user = User.objects.create_user("reader", "reader@example.org")
    book = Book.objects.create(title="A title", author="Somebody")
    book.title = "Another"
    book.save()
    category = Category.objects.create(name="One", slug="one")
    book.categories.add(category)
    category.books.clear()
    book_read.send(sender=Book, user=user, book=book)
    slow_request.send(sender=None, method="GET", route="x", milliseconds=3, status=200)
    book.delete()
    drain()
    seen = set()
    for event in EventRecord.objects.all():
        assert faults(schema_of(event.type), json.loads(event.envelope)) == []
        seen.add(event.type)
    assert seen >= {
        *("auth.user.created", "library.book.created", "library.book.updated", "library.book.deleted"),
        *("library.book.categories.added", "library.book.categories.cleared"),
        *("library.book_read", "library.slow_request"),
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("type",), "library.other"),
        (("data", "args", "milliseconds"), "soon"),
        (("data", "args", "status"), None),
        (("correlationid",), 5),
    ],
)
def test_envelope__that_is_another__is_not(path: tuple[str, ...], value: object) -> None:
    slow_request.send(sender=None, method="GET", route="x", milliseconds=3, status=200)
    drain()
    envelope = json.loads(EventRecord.objects.get(type="library.slow_request").envelope)
    part = envelope
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert faults(schema_of("library.slow_request"), envelope)


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [1, 2**80], ["1", 1.5]),
        (float, [1.5, 1, float("inf")], ["1"]),
        (str, ["a", "\ud800"], [1]),
        (bool, [True], [1]),
        (str | None, [None, "a"], [1]),
        (Literal["a", "b"], ["a"], ["c"]),
        (UUID, [uuid4()], ["a"]),
        (Decimal, [Decimal(1)], [1]),
        (datetime, [timezone.now()], ["a"]),
        (date, [timezone.localdate(), timezone.now()], ["a"]),
        (bytes, [b"a"], ["a"]),
        (list[int], [[1]], [1]),
        (dict[str, int], [{"a": 1}], [1]),
        (tuple[int, ...], [(1, 2)], [[1]]),
        (set[int], [{1}], [[1]]),
        (Colour, [Colour.RED], ["red"]),
        (Any, [1, "a", None], []),
    ],
)
def test_hint__takes_what_it_declares_and_nothing_else(hint: Any, good: list[Any], bad: list[Any]) -> None:
    schema = of_hint(hint)
    for value in good:
        assert faults(schema, dump_value(value, path="field")) == []
    for value in bad:
        assert faults(schema, dump_value(value, path="field"))


def test_command__yaml_and_json_are_the_same_document() -> None:
    assert yaml.safe_load(run("catalog", "--format", "yaml")) == json.loads(
        run("catalog", "--format", "json")
    )
    assert json.loads(run("catalog", "--format", "json")) == document()


@pytest.mark.parametrize("format", ["text", "mermaid", "markdown", "json"])
def test_flow__each_format_names_every_receiver(format: str) -> None:
    text = run("flow", "--format", format)
    for receiver in registry:
        assert receiver.name in text
