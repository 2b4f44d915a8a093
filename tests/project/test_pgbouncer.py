from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from project.dev import pgbouncer
from project.dev.pgbouncer import PgBouncer, PgBouncerError
from project.dev.postgres import Postgres, PostgresError, private


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    try:
        running = private()
        server = running.__enter__()
    except PostgresError as reason:
        pytest.skip(f"no PostgreSQL: {reason}")
    yield server
    running.__exit__(None, None, None)


@pytest.fixture
def pooler(server: Postgres) -> Iterator[PgBouncer]:
    try:
        running = PgBouncer(server.url(), pool=2)
        running.start()
    except PgBouncerError as reason:
        pytest.skip(f"no PgBouncer: {reason}")
    with_it = psutil.Process(running.process.pid if running.process else 0)
    assert os.getuid() != 0 or with_it.username() != "root"
    yield running
    directory = running.directory
    running.stop()
    assert directory is not None
    assert not directory.exists()
    assert not with_it.is_running()


def connect(pooler: PgBouncer) -> psycopg.Connection:
    url = pooler.url.replace("postgres:", "postgresql:")
    return psycopg.connect(url, autocommit=True, prepare_threshold=None)


def test_pooler__lends_few_connections_to_many_clients(pooler: PgBouncer) -> None:
    clients = [connect(pooler) for _ in range(8)]
    backends = {client.execute("SELECT pg_backend_pid()").fetchone() for client in clients for _ in range(3)}
    assert 1 <= len(backends) <= 2
    for client in clients:
        client.close()


def test_pooler__a_transaction_keeps_its_connection(pooler: PgBouncer) -> None:
    with connect(pooler) as client, client.transaction():
        pids = {client.execute("SELECT pg_backend_pid()").fetchone() for _ in range(5)}
    assert len(pids) == 1


def test_pooler__program_missing__names_the_package(
    server: Postgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pgbouncer, "SEARCH", str(tmp_path))
    with pytest.raises(PgBouncerError, match="apt-get install pgbouncer"), PgBouncer(server.url()):
        pass
