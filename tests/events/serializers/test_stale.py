from __future__ import annotations

import asyncio
import copy
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from events.exceptions import StaleInstance
from tests.events.serializers.captured import copied
from tests.zoo.models import Remembering, TextKeyed

pytestmark = pytest.mark.django_db


def itself(instance: Any) -> Any:
    return instance


every_copy = pytest.mark.parametrize("like", [itself, copy.copy, copy.deepcopy])


@every_copy
def test_save__of_a_rebuilt_instance_is_refused(like: Callable[[Any], Any]) -> None:
    row = Remembering.objects.create(name="old")
    arrived = like(copied(row))
    Remembering.objects.update(name="newer")
    arrived.name = "mine"
    for save in (
        arrived.save,
        lambda: arrived.save(force_update=True),
        lambda: arrived.save(update_fields=None),
    ):
        with pytest.raises(StaleInstance, match=r"zoo\.Remembering .* event\.refresh\('instance'\)"):
            save()
    assert Remembering.objects.get().name == "newer"


def test_save__does_not_bring_a_deleted_row_back() -> None:
    row = Remembering.objects.create(name="x")
    arrived = copied(row)
    row.delete()
    with pytest.raises(StaleInstance, match="bring back a deleted one"):
        arrived.save()
    assert not Remembering.objects.exists()


@every_copy
def test_save__of_named_fields_writes_them(like: Callable[[Any], Any]) -> None:
    original = copied(Remembering.objects.create(name="old", number=4))
    Remembering.objects.update(number=9)
    arrived = like(original)
    arrived.name = "new"
    arrived.save(update_fields=["name"])
    assert Remembering.objects.values_list("name", "number").get() == ("new", 9)
    assert original.name == ("new" if arrived is original else "old")


@pytest.mark.django_db(transaction=True)
def test_asave__is_refused_too() -> None:
    arrived = copied(Remembering.objects.create(name="old"))

    async def save() -> None:
        with pytest.raises(StaleInstance):
            await arrived.asave()
        arrived.name = "new"
        await arrived.asave(update_fields=["name"])
        # Of the thread that ran it, which nothing else would close.
        await sync_to_async(connections.close_all)()

    asyncio.run(save())
    assert Remembering.objects.get().name == "new"


def test_save__of_every_other_instance_works() -> None:
    row = Remembering.objects.create(name="old")
    copied(row)
    row.name = "new"
    row.save()
    fresh = Remembering.objects.get()
    fresh.save()
    assert (fresh.name, "save" in vars(fresh)) == ("new", False)


def test_refused__instance_is_of_its_class_and_equal_to_its_row() -> None:
    row = TextKeyed.objects.create(name="x")
    arrived = copied(row)
    assert type(arrived) is TextKeyed
    assert arrived == row
    assert {arrived: 1}[row] == 1
    assert copy.copy(arrived) == copy.deepcopy(arrived) == row
    assert copy.copy(arrived)._state.db == arrived._state.db


def test_refused__instance_is_freed_as_soon_as_it_is_not_used() -> None:
    gc.disable()
    try:
        arrived = copied(TextKeyed.objects.create(name="x"))
        alive = weakref.ref(arrived)
        del arrived
        assert alive() is None
    finally:
        gc.enable()
