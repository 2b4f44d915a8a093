"""Every field type that Django ships, through a `post_save`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.db import connection, models
from django.db.models import F, Field, Value
from django.db.models.fields.files import FieldFile
from django.db.models.fields.related import RelatedField
from django.db.models.functions import Now
from django.db.models.signals import post_save

from events.serializers import plan_for
from events.testing import Drained, drain
from tests.events.conftest import Offloaded
from tests.events.serializers.captured import copied, rebuilt, same, saved
from tests.events.serializers.specimens import ASSIGNED, UNSAVED, VALUES
from tests.zoo.models import Computed, Specimen

pytestmark = pytest.mark.django_db

kept: list[Specimen] = []


def keep(sender: type[Specimen], instance: Specimen, **kwargs: Any) -> None:
    kept.append(instance)


FIELDS = [field.attname for field in Specimen._meta.concrete_fields if not field.primary_key]

# Of Django's classes of fields, those no model has a column of.
WITHOUT_COLUMN: dict[type[Field[Any, Any]], str] = {
    Field: "the base of all",
    models.ForeignObject: "the base of relations",
    RelatedField: "the same",
    models.ManyToManyField: "a table of its own",
    models.CompositePrimaryKey: "its parts are fields",
    GenericForeignKey: "its parts are fields",
    GenericRelation: "the other end of one",
    models.CommaSeparatedIntegerField: "removed: for historical migrations, see test_fields__removed",
    models.IPAddressField: "removed: for historical migrations, see test_fields__removed",
    models.NullBooleanField: "removed: for historical migrations, see test_fields__removed",
}


def shipped() -> Iterator[type[Field[Any, Any]]]:
    """Every public field class of Django's that is imported here, without those of the other databases."""
    modules = ["django.db.models.", "django.contrib.contenttypes."]
    if connection.vendor == "postgresql":
        import django.contrib.postgres.fields  # noqa: F401  # so that its classes exist

        modules.append("django.contrib.postgres.")
    for cls in subclasses(Field):
        if cls.__module__.startswith(tuple(modules)) and not cls.__name__.startswith("_"):
            yield cls


def subclasses(cls: type[Any]) -> set[type[Any]]:
    return {cls}.union(*(subclasses(child) for child in type.__subclasses__(cls)))


def test_zoo__has_a_field_of_every_type_that_django_ships() -> None:
    kept = {type(field) for model in apps.get_app_config("zoo").get_models() for field in model._meta.fields}
    missing = [cls.__name__ for cls in shipped() if cls not in kept and cls not in without_column()]
    assert missing == []


def without_column() -> dict[type[Field[Any, Any]], str]:
    if connection.vendor != "postgresql":
        return WITHOUT_COLUMN
    from django.contrib.postgres import fields, search
    from django.contrib.postgres.fields import citext, jsonb, ranges

    removed = (citext.CICharField, citext.CIEmailField, citext.CITextField, jsonb.JSONField)
    return {
        **WITHOUT_COLUMN,
        **dict.fromkeys(removed, "removed"),
        fields.RangeField: "a base",
        ranges.ContinuousRangeField: "a base",
        search.SearchQueryField: "an output field of expressions",
    }


def test_zoo__has_values_for_every_field() -> None:
    assert set(VALUES) == set(ASSIGNED) == set(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_field__round_trips_as_it_is_in_the_database(name: str) -> None:
    for value in VALUES[name]:
        instance = Specimen(**{name: value})
        arrived = saved(instance)
        assert same(plain(getattr(arrived, name)), value)
        row = Specimen.objects.get(pk=instance.pk)
        assert same(plain(getattr(copied(row), name)), plain(getattr(row, name)))
        assert arrived.pk == instance.pk
        assert arrived.get_deferred_fields() == set()


@pytest.mark.parametrize("name", FIELDS)
def test_field__assigned_in_another_type_arrives_in_its_own(name: str) -> None:
    for value, expected in ASSIGNED[name]:
        instance = Specimen(**{name: value})
        arrived = saved(instance)
        assert same(plain(getattr(arrived, name)), expected)
        row = Specimen.objects.get(pk=instance.pk)
        assert plain(getattr(row, name)) == expected


@pytest.mark.parametrize("name", FIELDS)
def test_field__none_arrives_as_none(name: str) -> None:
    arrived = saved(Specimen(**{name: None}))
    assert plain(getattr(arrived, name)) is None


@pytest.mark.parametrize("name", FIELDS)
def test_field__arrives_at_an_offloaded_receiver(offloaded: Offloaded, name: str) -> None:
    """The whole way: signal, outbox, consumer."""
    offloaded(keep, post_save, sender=Specimen)
    given = [*((value, value) for value in VALUES[name]), *ASSIGNED[name], (None, None)]
    for value, _ in given:
        Specimen.objects.create(**{name: value})
    Specimen.objects.defer(name).latest("pk").save()
    kept.clear()
    assert drain() == Drained(done=len(given) + 1)
    *created, updated = kept
    for instance, (_, expected) in zip(created, given, strict=True):
        assert same(plain(getattr(instance, name)), expected)
    assert updated.get_deferred_fields() == {name}


@pytest.mark.parametrize("name", FIELDS)
def test_field__deferred_stays_deferred_without_a_query(name: str, django_assert_num_queries: Any) -> None:
    pk = Specimen.objects.create(**{name: VALUES[name][0]}).pk
    instance = Specimen.objects.only("pk").get(pk=pk)
    with django_assert_num_queries(0):
        arrived = copied(instance)
        assert arrived.pk == pk
    assert arrived.get_deferred_fields() == set(FIELDS)
    assert plain(getattr(arrived, name)) == VALUES[name][0]


@pytest.mark.parametrize("name", FIELDS)
def test_field__holding_an_expression_is_deferred(name: str, django_assert_num_queries: Any) -> None:
    instance = Specimen.objects.create(**{name: VALUES[name][0]})
    setattr(instance, name, F(name))
    with django_assert_num_queries(0):
        arrived = copied(instance)
    assert arrived.get_deferred_fields() == {name}
    assert plain(getattr(arrived, name)) == VALUES[name][0]


def test_field__saved_from_an_expression_arrives_with_what_the_database_made_of_it() -> None:
    instance = Specimen.objects.create(integer=1)
    instance.integer = F("integer") + 1
    arrived = saved(instance)
    # From Django 6.0 on the database returns it; before, the attribute holds the expression still.
    assert arrived.get_deferred_fields() == (set() if django.VERSION >= (6, 0) else {"integer"})
    assert arrived.integer == 2


def test_field__holding_a_value_expression_or_function_is_deferred() -> None:
    instance = Specimen(json=Value(None, models.JSONField()), date_time=Now())
    assert copied(instance).get_deferred_fields() == {"json", "date_time"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("float", float("nan")), ("float", float("inf")), ("float", float("-inf")), ("float", -0.0)],
)
def test_field__floats_that_json_has_no_number_for(name: str, value: float) -> None:
    assert same(getattr(copied(Specimen(**{name: value})), name), value)


def test_field__a_number_beyond_every_column_still_arrives() -> None:
    assert copied(Specimen(big_integer=-(10**5000))).big_integer == -(10**5000)


def test_field__json_may_hold_what_is_no_json_number() -> None:
    arrived = copied(Specimen(json={"n": float("nan"), "big": 2**70}))
    assert same(arrived.json, {"n": float("nan"), "big": 2**70})


@pytest.mark.parametrize("name", UNSAVED)
def test_field__assigned_in_a_type_that_is_not_saved_arrives_in_its_own(name: str) -> None:
    for value, expected in UNSAVED[name]:
        assert same(getattr(copied(Specimen(**{name: value})), name), expected)


def test_field__what_its_type_does_not_take_is_withheld() -> None:
    instance = Specimen(
        pk=1, integer="many", date="tomorrow", binary=7, char="\ud800", uuid=object(), text="kept"
    )
    snapshot = plan_for(Specimen).take(instance, created=False)
    assert set(snapshot.withheld) == {"integer", "date", "binary", "char", "uuid"}
    assert rebuilt(Specimen, snapshot).text == "kept"


def test_field__generated_is_carried_after_an_insert_only() -> None:
    instance = Computed(name="heron")
    created = saved(instance)
    assert (created.shouted, str(created.colour)) == ("HERON", "#0102ff")
    instance.name = "stork"
    updated = saved(instance)
    assert updated.get_deferred_fields() == {"shouted", "colour"}
    assert updated.shouted == "STORK"


def test_field__database_default_arrives_as_the_database_made_it() -> None:
    arrived = saved(Computed(name="heron"))
    assert arrived.visits == 7


def test_field__database_default_not_yet_known_is_deferred() -> None:
    assert "visits" in copied(Computed(pk=1, name="heron")).get_deferred_fields()


def test_fields__removed_but_kept_for_migrations_round_trip() -> None:
    from django.test.utils import isolate_apps

    with isolate_apps("tests.zoo"):

        class Historical(models.Model):
            numbers = models.CommaSeparatedIntegerField(max_length=20, null=True)
            address = models.IPAddressField(null=True)
            flag = models.NullBooleanField()

            class Meta:
                app_label = "zoo"

        arrived = copied(Historical(pk=1, numbers="1,2", address="192.0.2.1", flag=False))
    assert (arrived.numbers, arrived.address, arrived.flag) == ("1,2", "192.0.2.1", False)


def plain(value: Any) -> Any:
    """A file as its name: each instance has a FieldFile of its own."""
    return value.name if isinstance(value, FieldFile) else value
