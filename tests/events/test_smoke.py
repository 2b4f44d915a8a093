from __future__ import annotations

import pytest
from django.db import transaction

from events.testing import Drained, captured_events, drain
from tests.shop.models import Effect, Item
from tests.shop.signals import bought

pytestmark = pytest.mark.django_db


def test_save__reaches_both_receivers() -> None:
    with captured_events() as events:
        item = Item.objects.create(title="one")
    events.assert_emitted("shop.item.created", instance=item)
    assert drain() == Drained(done=2)
    assert Effect.objects.count() == 2


def test_savepoint_rolled_back__takes_its_events_along() -> None:
    with captured_events() as events:
        item = Item.objects.create(title="one")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            bought.send(item=item, amount=3)
            1 / 0
    events.assert_emitted(bought, times=0)
    assert drain().done == 2


def test_event__reaches_one_and_many() -> None:
    item = Item(title="quiet")
    item.save()
    drain()
    with captured_events() as events:
        for amount in range(3):
            bought.send(item=item, amount=amount)
    events.assert_emitted("shop.bought", times=3, item=item)
    assert drain() == Drained(done=6)
    assert set(Effect.objects.filter(receiver="count_trades").values_list("note", flat=True)) == {"3"}
