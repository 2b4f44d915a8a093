"""SQLite's one lock: whoever of us waits for it gets it between two of others' transactions."""

from __future__ import annotations

import gc
import sqlite3
import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection, transaction

from events.delivery.resetting import reset
from events.delivery.waiting import writing
from tests.shop.models import Tag

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite"),
]


@pytest.fixture
def another() -> Iterator[sqlite3.Connection]:
    """A writer that has the lock."""
    connection.ensure_connection()
    writer = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    yield writer
    writer.close()


@pytest.fixture
def patience() -> Iterator[int]:
    """Milliseconds that this connection's statements wait; not what its options say."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 12345")
    yield 12345
    # Opened again with what it had.
    connection.close()


def waits() -> int:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        return int(cursor.fetchone()[0])


def test_writing__begins_when_the_other_has_ended(another: sqlite3.Connection, patience: int) -> None:
    ending = threading.Timer(0.2, another.execute, ("COMMIT",))
    ending.start()
    with writing("default"):
        ending.join()
        assert not another.in_transaction
        assert waits() == patience
        Tag.objects.create(name="one")
    assert Tag.objects.get().name == "one"


def test_writing__after_a_wait_a_connection_that_is_closed_in_it_gives_up_the_lock(
    another: sqlite3.Connection,
) -> None:
    # What nobody refers to but itself would keep it until then.
    gc.disable()
    try:
        threading.Timer(0.2, another.execute, ("COMMIT",)).start()
        with pytest.raises(LookupError), writing("default"):
            make_and_close()
        another.execute("BEGIN IMMEDIATE")
    finally:
        gc.enable()
        reset("default")


def make_and_close() -> None:
    Tag.objects.create(name="one")
    connection.close()
    raise LookupError


def test_writing__waits_as_long_as_its_connection_would(another: sqlite3.Connection, patience: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 300")
    with pytest.raises(OperationalError, match="locked"), writing("default"):
        pytest.fail("it began beside another writer")
    assert waits() == 300
    assert not connection.in_atomic_block
    another.execute("COMMIT")
    with writing("default"):
        Tag.objects.create(name="one")
    assert Tag.objects.count() == 1


def make_and_fail() -> None:
    Tag.objects.create(name="one")
    raise LookupError


def test_writing__inside_a_transaction_is_a_part_of_it() -> None:
    with transaction.atomic():
        with writing("default"):
            Tag.objects.create(name="one")
        transaction.set_rollback(True)
    assert not Tag.objects.exists()


def test_writing__what_fails_in_it_is_rolled_back(patience: int) -> None:
    with pytest.raises(LookupError), writing("default"):
        make_and_fail()
    assert not Tag.objects.exists()
    assert waits() == patience
