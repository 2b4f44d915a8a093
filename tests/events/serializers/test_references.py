from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.db import connections

from events.exceptions import NotSerializable
from events.serializers import Reference, dump_value, fetch_references, substitute
from tests.events.serializers.captured import round_trip, same
from tests.zoo.models import (
    CompositeKeyed,
    CustomKeyed,
    Parrot,
    Retired,
    SecretlyKeyed,
    Specimen,
    TameParrot,
    TextKeyed,
    UuidKeyed,
)

pytestmark = pytest.mark.django_db

CODE = UUID("a3bb189e-8bf9-4c4e-ae16-0cf4eb0a3e1c")


def fetched(*values: Any) -> list[Any]:
    """The values as a worker's receiver gets them."""
    arrived = [round_trip(value) for value in values]
    found = fetch_references(arrived)
    return [substitute(value, found) for value in arrived]


def test_reference__holds_the_key_in_its_own_type() -> None:
    user = get_user_model()(pk="5")
    assert same(round_trip(user), Reference(model="auth.user", pk=5, using="default"))
    assert same(round_trip(UuidKeyed(pk=CODE)).pk, CODE)
    assert same(round_trip(UuidKeyed(pk=str(CODE))).pk, CODE)
    assert same(round_trip(TextKeyed(pk="x")).pk, "x")
    assert same(round_trip(CompositeKeyed(tenant=1, code=CODE)).pk, (1, CODE))


def test_reference__carries_nothing_but_the_key() -> None:
    user = get_user_model()(pk=5, username="ann", password="secret")
    assert dump_value(user, path="user") == {"$": "ref", "model": "auth.user", "pk": 5, "using": "default"}


@pytest.mark.parametrize("instance", [Specimen(), CompositeKeyed(tenant=1), Parrot(name="x")])
def test_reference__to_an_unsaved_instance_is_refused(instance: Any) -> None:
    with pytest.raises(NotSerializable, match=r"argument 'it': this zoo\.\w+ has no primary key"):
        dump_value(instance, path="it")


def test_reference__to_a_row_whose_key_is_a_secret_is_refused() -> None:
    with pytest.raises(NotSerializable, match=r"zoo\.SecretlyKeyed\.session_key looks like a secret"):
        dump_value(SecretlyKeyed(session_key="s"), path="it")


def test_fetched__every_kind_of_model() -> None:
    rows = [
        Specimen.objects.create(char="x"),
        UuidKeyed.objects.create(),
        TextKeyed.objects.create(name="x"),
        CompositeKeyed.objects.create(tenant=1, code=CODE),
        Parrot.objects.create(name="Polly", wingspan=1),
        TameParrot.objects.create(name="Tamed", wingspan=1),
    ]
    arrived = fetched(*rows)
    assert same(arrived, rows)
    assert all(row._state.db == "default" for row in arrived)


def test_fetched__a_whole_batch_costs_one_query_for_each_model(django_assert_num_queries: Any) -> None:
    specimens = [Specimen.objects.create() for _ in range(50)]
    keyed = [UuidKeyed.objects.create(code=str(n)) for n in range(50)]
    arguments = [{"a": a, "b": [b, (b,)]} for a, b in zip(specimens, keyed, strict=True)]
    with django_assert_num_queries(2):
        arrived = fetched(*arguments)
    assert arrived == arguments


def test_fetched__deep_inside_whatever_can_hold_them() -> None:
    row, other = Specimen.objects.create(), Specimen.objects.create()
    value = {"a": [(row,), {other}], row: frozenset({other}), 5: {"b": row}}
    assert same(fetched(value), [value])


def test_fetched__a_row_that_is_gone_is_none() -> None:
    row, gone = Specimen.objects.create(), Specimen.objects.create()
    arrived = [round_trip([row, gone])]
    gone.delete()
    found = fetch_references(arrived)
    assert list(found.values()).count(None) == 1
    assert substitute(arrived[0], found) == [row, None]


def test_fetched__past_a_default_manager_that_hides_rows() -> None:
    row = Retired.objects.create(name="x")
    assert not Retired.objects.exists()
    assert fetched(row) == [row]


def test_fetched__the_row_as_it_is_now() -> None:
    row = Specimen.objects.create(char="old")
    Specimen.objects.update(char="new")
    assert fetched(row)[0].char == "new"


def test_fetched__instances_are_of_one_event_each() -> None:
    row = Specimen.objects.create(char="x")
    first, second = fetched(row, row)
    first.char = "changed"
    assert (second.char, first == second) == ("x", True)
    first.save()  # a fetched row is an ordinary one


@pytest.mark.django_db(databases=["default", "other"] if "other" in connections else ["default"])
def test_reference__names_the_database_that_is_written_to() -> None:
    using = list(connections)[-1]
    row = Specimen.objects.using(using).create(char="there")
    assert round_trip(row).using == using
    assert fetched(row)[0]._state.db == using


def test_reference__on_the_replica_is_fetched_from_where_it_is_written(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.events.serializers.test_references.Router"]
    row = Specimen.objects.using("default").create()
    row._state.db = "replica"
    assert round_trip(row).using == "default"


class Router:
    def db_for_write(self, model: type, **hints: object) -> str:
        return "default"


def test_reference__with_a_custom_key() -> None:
    row = CustomKeyed.objects.create(name="ABC")
    assert fetched(row) == [row]
