from __future__ import annotations

from collections.abc import Iterator

import pytest

from events import register_serializer
from events.serializers import plan_for, serializers
from tests.events.serializers.captured import copied, rebuilt, same, saved
from tests.zoo.fields import Colour, EncryptedField, Label, LabelField
from tests.zoo.models import Computed, Customised

pytestmark = pytest.mark.django_db

RED = Colour(255, 0, 0)


@pytest.fixture
def _label_is_safe() -> Iterator[None]:
    register_serializer(LabelField, name="label", dump=lambda label: label.text, load=Label)
    yield
    serializers.remove(LabelField)


@pytest.mark.parametrize("assigned", [RED, "#ff0000"])
def test_custom__goes_through_value_to_string_and_to_python(assigned: object) -> None:
    instance = Customised(colour=assigned)
    assert plan_for(Customised).take(instance, created=True).data["colour"] == "#ff0000"
    assert same(saved(instance).colour, RED)


def test_custom__none_arrives_as_none() -> None:
    assert saved(Customised()).colour is None


def test_custom__that_changes_no_values_has_the_codec_of_its_base() -> None:
    assert saved(Customised(shouting=12)).shouting == "12"


def test_custom__json_with_a_to_python_of_its_own() -> None:
    assert same(saved(Customised(notes={"a": 1.0})).notes, [{"a": 1.0}])


@pytest.mark.parametrize("name", ["encrypted", "converted", "chosen", "label"])
def test_custom__that_may_decrypt_stays_at_home(name: str) -> None:
    instance = Customised(**{name: "plain text"})
    instance.save()
    row = Customised.objects.get()
    for each in (instance, row):
        assert "plain text" not in repr(plan_for(Customised).take(each, created=True))
    arrived = copied(row)
    assert name in arrived.get_deferred_fields()
    assert getattr(arrived, name) == getattr(row, name)


@pytest.mark.usefixtures("_label_is_safe")
def test_custom__registered_as_safe_travels() -> None:
    saved_label = saved(Customised(label=Label("plain text"))).label
    assert same(saved_label, Label("plain text"))
    assert same(saved(Customised(label="text")).label, Label("text"))
    assert "label" not in plan_for(Customised).home


@pytest.mark.usefixtures("_label_is_safe")
def test_custom__registered_one_makes_no_other_safe() -> None:
    assert set(plan_for(Customised).home) == {"encrypted", "converted", "chosen"}


def test_custom__registering_takes_effect_on_plans_already_made() -> None:
    assert "encrypted" in plan_for(Customised).home
    register_serializer(EncryptedField, name="encrypted", dump=str, load=str)
    try:
        assert "encrypted" not in plan_for(Customised).home
    finally:
        serializers.remove(EncryptedField)
    assert "encrypted" in plan_for(Customised).home


def test_custom__that_raises_is_withheld_and_the_rest_travels() -> None:
    snapshot = plan_for(Customised).take(Customised(pk=1, picky=13, shouting="x"), created=True)
    assert snapshot.withheld == ("picky",)
    arrived = rebuilt(Customised, snapshot)
    assert arrived.shouting == "x"
    assert "picky" in arrived.get_deferred_fields()


def test_custom__inside_a_generated_field() -> None:
    assert same(saved(Computed(name="x")).colour, Colour(1, 2, 255))
