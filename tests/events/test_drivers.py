"""What the bus asks of PostgreSQL's driver beyond what Django does: docs/decisions/0012-speed.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import NotSupportedError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from events.delivery.statements import insert_records, known_records
from events.delivery.trouble import repeated
from events.drivers import lean_cursor
from events.fast_path import fast_path
from events.models import Delivery, EventRecord, State
from events.relay.due import is_any_due
from events.relay.turns import due_receivers
from events.testing import drain
from tests.events.ageing import multiply
from tests.events.plans import plan, reads_all
from tests.shop.models import Item
from tests.shop.receivers import mail_save

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL"),
]

NAME = f"{mail_save.__module__}.{mail_save.__qualname__}"
# The next one is prepared.
USES = 5


@pytest.fixture(autouse=True)
def nothing_kept(settings: Settings) -> Iterator[None]:
    settings.EVENTS = settings.EVENTS | {"PREPARED_STATEMENTS": True}
    connection.ensure_connection()
    forget_all()
    yield
    forget_all()


def forget_all() -> None:
    """The server, and with the ROLLBACK the driver."""
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    with suppress(Rejected), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        raise Rejected


class Rejected(Exception):
    """Rolls a transaction back."""


def kept() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


def saved(number: int) -> list[UUID]:
    with fast_path.suspended(), transaction.atomic():
        for _ in range(number):
            Item.objects.create(title="one")
    return list(EventRecord.objects.order_by("pk").values_list("pk", flat=True))


def claim(ids: Sequence[UUID]) -> None:
    values = {"receiver": NAME, "queue": "default", "state": State.SENT, "worker": "", "message_id": uuid4()}
    with transaction.atomic():
        assert insert_records("default", ids, values, {"started_at": 0}) == len(ids)


def test_claims__have_one_plan_however_many_deliveries_they_are_of() -> None:
    ids = saved(28)
    for size in range(1, USES + 2):
        claim([ids.pop() for _ in range(size)])
    [statement] = kept()
    assert statement.startswith('INSERT INTO "offload_delivery"')


def test_claims__are_not_planned_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.drivers._REPLAN", 3600.0)
    for id in saved(2 * USES + 2):
        claim([id])
    with connection.cursor() as cursor:
        cursor.execute("SELECT generic_plans, custom_plans FROM pg_prepared_statements")
        [(generic, custom)] = cursor.fetchall()
    # The server plans the first five by their values before it compares.
    assert generic > 0
    assert custom == 5


def test_kept_plans__find_their_rows_by_index_whatever_the_values() -> None:
    found: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if type(context["cursor"].cursor).__name__ == "ServerBindingCursor" and "offload_" in sql:
            numbers = count(1)
            found.append(re.sub("%s", lambda _: f"${next(numbers)}", sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        claim(saved(1))
        Delivery.objects.all().delete()
        drain()
    kinds = {sql.partition(" ")[0] for sql in found}
    assert kinds == {"INSERT", "SELECT", "UPDATE"}
    for sql in found:
        assert not reads_all(plan(sql)), sql


def test_plan_of_a_small_table__is_made_anew_when_it_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = saved(30)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE offload_event")
    monkeypatch.setattr("events.drivers._REPLAN", 3600.0)
    for id in ids[:20]:
        claim([id])
    multiply(EventRecord.objects.get(pk=ids[0]), 13)
    assert reads_all(kept_plan()), "it was a good one"
    monkeypatch.setattr("events.drivers._REPLAN", 0.0)
    claim(ids[20:21])
    assert not reads_all(kept_plan())


def kept_plan() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, statement FROM pg_prepared_statements")
        [(name, statement)] = cursor.fetchall()
        values = ", ".join("NULL" for _ in set(re.findall(r"\$\d+", statement)))
        cursor.execute(f'EXPLAIN EXECUTE "{name}" ({values})')
        return "\n".join(row for (row,) in cursor.fetchall())


def test_project_that_does_not_ask_for_it__has_nothing_kept(settings: Settings) -> None:
    settings.EVENTS = settings.EVENTS | {"PREPARED_STATEMENTS": False}
    for id in saved(USES + 2):
        claim([id])
    assert kept() == []


def test_others_statements__are_neither_kept_nor_counted() -> None:
    claim(saved(1))
    for _ in range(USES + 2):
        assert not Delivery.objects.filter(receiver="no such").exists()
    assert kept() == []
    # A driver that counts keeps the texts of the last hundred, values and all.
    assert connection.connection.prepare_threshold is None


def test_statements_that_the_server_was_made_to_forget__pass() -> None:
    *ids, last = saved(USES + 2)
    for id in ids:
        claim([id])
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    repeated("default", lambda: claim([last]))
    assert Delivery.objects.count() == USES + 2


def test_outside_a_transaction__nothing_is_kept() -> None:
    """There no ROLLBACK would have the driver forget what the server doesn't know any more."""
    saved(1)
    for _ in range(USES + 2):
        assert is_any_due("default")
        assert not list(due_receivers("default", "default"))
    assert kept() == []


def test_statements_that_are_logged__are_told_with_their_values() -> None:
    ids = saved(1)
    with CaptureQueriesContext(connection) as logged:
        claim(ids)
    assert any(NAME in query["sql"] for query in logged)


def test_cursor__leaves_the_next_one_to_django() -> None:
    usual = connection.connection.cursor_factory
    with lean_cursor(connection) as cursor:
        assert not isinstance(cursor.cursor, usual)
    with connection.cursor() as cursor:
        assert isinstance(cursor.cursor, usual)


def test_plan_that_a_migration_made_wrong__fails_once() -> None:
    ids = saved(1)
    claim(ids)
    for _ in range(USES + 1):
        assert known(ids) == 1
    retype("bigint")
    try:
        with pytest.raises(NotSupportedError, match="cached plan"):
            known(ids)
        assert known(ids) == 1
    finally:
        retype("integer")


def known(ids: Sequence[UUID]) -> int:
    with transaction.atomic():
        return len(known_records("default", ids, NAME))


def retype(type: str) -> None:
    """By another connection: of its own the driver would know."""
    migrating = connection.copy()
    try:
        with migrating.cursor() as cursor:
            cursor.execute(f"ALTER TABLE offload_delivery ALTER COLUMN attempt TYPE {type}")
    finally:
        migrating.close()
