"""Savepoints that fail to be released, and emissions that fail."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import DatabaseError, connection, transaction

from events.fast_path import fast_path
from events.journal import journal_of
from events.models import EventRecord
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)


def test_savepoint_that_cannot_be_released__takes_only_its_own_events() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("elsewhere an error does not spoil the transaction")
    with fast_path.suspended(), transaction.atomic():
        before = Item.objects.create(title="before")
        with pytest.raises(DatabaseError):
            _spoil()
    assert Item.objects.count() == 1
    assert list(EventRecord.objects.values_list("subject", flat=True)) == [f"shop.item/{before.pk}"]


def _spoil() -> None:
    with transaction.atomic():
        Item.objects.create(title="inside")
        # Swallowed: only the RELEASE at the end of the block says so.
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")


def test_manual_transactions__nothing_piles_up() -> None:
    with fast_path.suspended():
        transaction.set_autocommit(False)
        try:
            for number in range(20):
                Item.objects.create(title=str(number))
                transaction.commit()
            assert journal_of("default", fast_path).committed == []
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)
    assert EventRecord.objects.count() == 20


def test_emission_that_cannot_be_stored__is_not_tried_with_the_next() -> None:
    def refuse(execute, sql, *args):  # type: ignore[no-untyped-def]
        if "offload_event" in sql:
            raise DatabaseError("full")
        return execute(sql, *args)

    with fast_path.suspended():
        with connection.execute_wrapper(refuse), pytest.raises(DatabaseError):
            Item.objects.create(title="first")
        Item.objects.create(title="second")
    assert EventRecord.objects.count() == 1
