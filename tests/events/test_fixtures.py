from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import call_command

from events.testing import captured_events
from tests.shop.models import Item, Tag

pytestmark = pytest.mark.django_db

ROWS = [
    {"model": "shop.tag", "pk": 7, "fields": {"name": "red"}},
    {"model": "shop.item", "pk": 9, "fields": {"title": "one", "price": "1.00", "tags": [7]}},
]


@pytest.fixture
def loaded(tmp_path: Path) -> Item:
    fixture = tmp_path / "rows.json"
    fixture.write_text(json.dumps(ROWS))
    with captured_events() as events:
        call_command("loaddata", str(fixture), verbosity=0)
        assert Item.objects.get(pk=9).tags.count() == 1
    assert list(events) == []
    return Item.objects.get(pk=9)


def test_loaddata__emits_nothing_for_rows_and_their_many_to_many_values(loaded: Item) -> None:
    assert loaded.title == "one"


def test_row_from_a_fixture__emits_like_any_other_later(loaded: Item) -> None:
    with captured_events() as events:
        loaded.save()
        loaded.tags.remove(Tag.objects.get())
    events.assert_emitted("shop.item.updated")
    events.assert_emitted("shop.item.tags.removed")
