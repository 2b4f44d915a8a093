from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models.signals import post_save

from events.models import EventRecord
from tests.events.conftest import Offloaded
from tests.shop.models import Item, SafeItem

pytestmark = pytest.mark.django_db(transaction=True)


class Died(BaseException):
    pass


def receive(**kwargs: Any) -> None:
    pass


def die(sender: Any, **kwargs: Any) -> bool:
    raise Died


@pytest.mark.parametrize(("model", "rows"), [(Item, 1), (SafeItem, 0)])
def test_save__that_dies_before_its_event_is_stored_keeps_no_row(
    offloaded: Offloaded, model: type[Item], rows: int
) -> None:
    # Asked after the row is written and before its event is.
    offloaded(receive, post_save, sender=model, when=die)
    with pytest.raises(Died):
        model.objects.create(title="half")
    # Of a model without the mixin the row is there, and nobody will ever hear of it.
    assert (model.objects.count(), EventRecord.objects.count()) == (rows, 0)


def test_save__stores_row_and_event(offloaded: Offloaded) -> None:
    offloaded(receive, post_save, sender=SafeItem)
    item = SafeItem.objects.create(title="whole")
    item.title = "changed"
    item.save(update_fields=["title"])
    assert SafeItem.objects.get().title == "changed"
    types = EventRecord.objects.order_by("pk").values_list("type", flat=True)
    assert list(types) == ["shop.safeitem.created", "shop.safeitem.updated"]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_save__is_in_a_transaction_of_the_database_it_goes_to() -> None:
    seen = []

    def look(using: str, **kwargs: Any) -> None:
        seen.append((using, [c.alias for c in connections.all() if c.in_atomic_block]))

    post_save.connect(look, sender=SafeItem)
    try:
        SafeItem(title="there").save(using="other")
        SafeItem(title="here").save()
    finally:
        post_save.disconnect(look, sender=SafeItem)
    assert seen == [("other", ["other"]), ("default", ["default"])]


def test_save__that_fails_inside_a_transaction_leaves_it_as_any_other_does() -> None:
    item = SafeItem.objects.create(title="one")
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            SafeItem(pk=item.pk, title="two").save(force_insert=True)
        assert transaction.get_rollback()
        transaction.set_rollback(True)
    assert SafeItem.objects.get().title == "one"
