"""Keys, relations and inheritance; and what a newer version of a model makes of an older event."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db.migrations.state import ProjectState
from django.db.models import F, Model

from events.exceptions import NotSerializable
from events.serializers import plan_for
from tests.events.serializers.captured import copied, rebuilt, same, saved
from tests.zoo.models import (
    AutoKeyed,
    BigAutoKeyed,
    Bird,
    CompositeKeyed,
    CustomKeyed,
    Parrot,
    Queued,
    Relative,
    Remembering,
    SmallAutoKeyed,
    Specimen,
    TameParrot,
    TextKeyed,
    UuidKeyed,
)

pytestmark = pytest.mark.django_db

CODE = UUID("a3bb189e-8bf9-4c4e-ae16-0cf4eb0a3e1c")


@pytest.mark.parametrize("model", [AutoKeyed, SmallAutoKeyed, BigAutoKeyed, UuidKeyed])
def test_key__made_on_insert_arrives(model: type[Model]) -> None:
    instance = model()
    arrived = saved(instance)
    assert same(arrived.pk, instance.pk)
    assert arrived == instance
    assert hash(arrived) == hash(instance)


def test_key__assigned_as_text_arrives_in_its_own_type() -> None:
    assert same(saved(UuidKeyed(pk=str(CODE), code="x")).pk, CODE)
    assert same(saved(BigAutoKeyed(pk="12")).pk, 12)
    assert same(saved(TextKeyed(pk="twelve")).pk, "twelve")


def test_key__composite_arrives_by_its_parts() -> None:
    arrived = saved(CompositeKeyed(tenant="3", code=str(CODE), title="t"))
    assert same(arrived.pk, (3, CODE))
    assert CompositeKeyed.objects.get(pk=arrived.pk) == arrived


def test_key__of_a_custom_type_travels_though_it_has_from_db_value() -> None:
    assert saved(CustomKeyed(name="abc")).name == "abc"
    assert copied(CustomKeyed.objects.get()).name == "ABC"


def test_key__is_kept_after_a_delete() -> None:
    instance = Specimen.objects.create(char="x")
    pk = instance.pk
    snapshot = plan_for(Specimen).take(instance, created=False)
    instance.delete()
    arrived = rebuilt(Specimen, snapshot)
    assert (arrived.pk, arrived.char) == (pk, "x")


def test_relations__arrive_by_id_without_a_query(django_assert_num_queries: Any) -> None:
    specimen, other = Specimen.objects.create(), UuidKeyed.objects.create(code="c")
    text, custom = TextKeyed.objects.create(name="t"), CustomKeyed.objects.create(name="K")
    instance = Relative.objects.create(
        by_number=specimen, by_uuid=other, by_code=other, by_custom=custom, one=text, tagged=other
    )
    instance = Relative.objects.get(pk=instance.pk)
    with django_assert_num_queries(0):
        arrived = copied(instance)
        assert same(arrived.by_number_id, specimen.pk)
        assert same(arrived.by_uuid_id, other.pk)
        assert same(arrived.by_code_id, "c")
        assert same(arrived.by_custom_id, "K")
        assert same(arrived.one_id, "t")
        assert same(arrived.tagged_id, other.pk)
    assert arrived.tagged_type == ContentType.objects.get_for_model(UuidKeyed)
    assert arrived.tagged == other
    assert arrived.by_uuid == other


def test_relations__assigned_as_text_arrive_in_the_type_of_the_field_referred_to() -> None:
    arrived = copied(Relative(pk=1, by_number_id="5", by_uuid_id=str(CODE), by_code_id=7, one_id=""))
    assert same(
        [arrived.by_number_id, arrived.by_uuid_id, arrived.by_code_id, arrived.one_id], [5, CODE, "7", ""]
    )


def test_relations__an_empty_text_is_null_where_the_key_has_none() -> None:
    assert copied(Relative(pk=1, by_number_id="")).by_number_id is None


def test_relations__to_a_secret_key_stay_at_home() -> None:
    instance = Relative(pk=1, visit_id="the-session-key")
    assert "the-session-key" not in str(plan_for(Relative).take(instance, created=True))
    assert "visit_id" in plan_for(Relative).home


def test_order__column_arrives() -> None:
    relative = Relative.objects.create()
    first, second = Queued(relative=relative), Queued(relative=relative)
    assert [saved(each)._order for each in (first, second)] == [0, 1]


def test_inheritance__fields_of_every_parent_arrive() -> None:
    parrot = Parrot(name="Polly", wingspan="20.50", words=["hello"])
    arrived = saved(parrot)
    assert same([arrived.name, arrived.wingspan, arrived.words], ["Polly", Decimal("20.50"), ["hello"]])
    assert arrived.pk == arrived.bird_ptr_id == arrived.animal_ptr_id == arrived.id == parrot.pk
    assert arrived.bird_ptr == Bird.objects.get()


def test_inheritance__a_parents_deferred_field_stays_deferred(django_assert_num_queries: Any) -> None:
    Parrot.objects.create(name="Polly", wingspan=1)
    instance = Parrot.objects.defer("name").get()
    with django_assert_num_queries(0):
        arrived = copied(instance)
    assert arrived.get_deferred_fields() == {"name"}
    assert arrived.name == "Polly"


def test_proxy__arrives_as_the_proxy() -> None:
    assert saved(TameParrot(name="Polly", wingspan=1)).name == "Polly"


def test_rebuilt__is_no_new_row_and_knows_its_database() -> None:
    snapshot = plan_for(Specimen).take(Specimen(pk=7), created=True)
    arrived = rebuilt(Specimen, snapshot, using="elsewhere")
    assert (arrived._state.adding, arrived._state.db) == (False, "elsewhere")


def test_rebuilt__calls_an_overridden_from_db_as_django_does() -> None:
    arrived = saved(Remembering(name="x"))
    assert arrived.loaded == {"id": arrived.pk, "name": "x", "number": 1}
    arrived = copied(Remembering.objects.only("name").get())
    assert arrived.loaded == {"id": arrived.pk, "name": "x"}


def test_rebuilt__a_field_the_model_no_longer_has_is_ignored() -> None:
    arrived = plan_for(TextKeyed).rebuild({"name": "x", "gone": {"any": "thing"}}, "default")
    assert (arrived.pk, hasattr(arrived, "gone")) == ("x", False)


def test_rebuilt__a_field_added_since_is_deferred() -> None:
    pk = Bird.objects.create(name="owl", wingspan=3).pk
    arrived = plan_for(Bird).rebuild({"animal_ptr_id": pk, "id": pk, "name": "owl"}, "default")
    assert arrived.get_deferred_fields() == {"wingspan"}


def test_rebuilt__a_field_of_another_type_since_is_deferred_and_logged(caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        arrived = plan_for(Specimen).rebuild({"id": 1, "uuid": 12, "char": "x"}, "default")
    assert "uuid" in arrived.get_deferred_fields()
    assert "zoo.Specimen.uuid" in caplog.text


def test_historical_model__round_trips() -> None:
    models = ProjectState.from_apps(apps).apps
    model = models.get_model("zoo", "UuidKeyed")
    assert model is not UuidKeyed
    arrived = copied(model(pk=CODE, code="x"))
    assert same([arrived.pk, arrived.code], [CODE, "x"])


def test_plan__dumps_and_loads_one_value() -> None:
    plan = plan_for(Specimen)
    assert same(plan.load("decimal", plan.dump("decimal", "1.50")), Decimal("1.50"))
    assert plan.load("uuid", plan.dump("uuid", None)) is None


@pytest.mark.parametrize("value", ["many", F("integer")])
def test_plan__refuses_to_dump_one_value_that_has_none(value: object) -> None:
    with pytest.raises(NotSerializable, match=r"zoo\.Specimen\.integer"):
        plan_for(Specimen).dump("integer", value)


def test_plan__is_compiled_once_and_again_after_a_change_of_settings(settings: Any) -> None:
    plan = plan_for(Specimen)
    assert plan_for(Specimen) is plan
    settings.EVENTS = {"SENSITIVE_FIELDS": ["zoo.Specimen.email"]}
    assert "email" in plan_for(Specimen).home


def test_take__causes_no_query(django_assert_num_queries: Any) -> None:
    instance = Relative(pk=1, by_uuid_id=uuid4())
    with django_assert_num_queries(0):
        plan_for(Relative).take(instance, created=True)
