"""Indexes of large tables are made beside those who write; where they are there already, nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from events.models import Delivery
from tests.processes.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = {"offload_delivery_finished", "offload_delivery_dead"}
BEFORE, WITH_THEM = ("offload", "0012_replays"), ("offload", "0013_indexes")
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")


def migrate(*targets: tuple[str, str]) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(list(targets) or executor.loader.graph.leaf_nodes("offload"))


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    migrate()


def indexes() -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.get_constraints(cursor, Delivery._meta.db_table))


def ask(sql: str, *params: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall()) if cursor.description else []


def state_of(name: str) -> list[tuple[Any, ...]]:
    """Which index that is, and whether it is whole."""
    return ask("SELECT indexrelid, indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", name)


def unapply() -> None:
    """As in an installation whose indexes were made by an earlier version of our migrations."""
    recorder = MigrationRecorder(connection)
    for name in ("0013_indexes", "0014_retrying"):
        recorder.record_unapplied("offload", name)


def test_indexes__are_made_and_go_again() -> None:
    migrate(BEFORE)
    assert not NAMES & indexes()
    migrate(WITH_THEM)
    assert indexes() >= NAMES


def test_indexes__that_are_there_already__stay_as_they_are() -> None:
    unapply()
    before = [state_of(name) for name in sorted(NAMES)] if connection.vendor == "postgresql" else []
    migrate()
    assert indexes() >= NAMES
    assert before == ([state_of(name) for name in sorted(NAMES)] if before else [])


@on_postgresql
def test_index__that_a_killed_migration_left_half_made__is_made_anew() -> None:
    name = "offload_delivery_finished"
    [(half, _)] = state_of(name)
    ask("UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = %s", half)
    unapply()
    migrate()
    [(whole, is_valid)] = state_of(name)
    assert is_valid
    assert whole != half


@on_postgresql
def test_indexes__are_made_while_others_write() -> None:
    migrate(BEFORE)
    touch = "UPDATE offload_delivery SET worker = worker"
    open_, other = (connection.get_new_connection(connection.get_connection_params()) for _ in range(2))
    with ThreadPoolExecutor() as pool, closing(open_), closing(other):
        # It holds what every writer holds, and any index waits for its end.
        open_.execute(touch)
        migration = pool.submit(migrate_apart)
        wait_for(lambda: migration.done() or ask(WAITING), "the migration to wait")
        # Whoever queues behind the lock of a plain CREATE INDEX gets no answer in a minute.
        other.execute("SET lock_timeout = '60s'")
        other.execute(touch)
        other.rollback()
        open_.rollback()
        migration.result()
    assert indexes() >= NAMES


# Of a plain index and of one that is made beside its writers.
WAITING = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE datname = current_database() AND query LIKE 'CREATE INDEX%%' AND wait_event_type = 'Lock'"
)


def migrate_apart() -> None:
    """In a thread, with a connection of its own."""
    try:
        migrate(WITH_THEM)
    finally:
        connection.close()
