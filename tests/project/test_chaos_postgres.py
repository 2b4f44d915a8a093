"""The private PostgreSQL of chaos runs: what is committed survives a killed server, and nothing is left at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from project.dev.ports import is_taken
from project.dev.postgres import Postgres, PostgresError


@pytest.fixture
def server() -> Iterator[Postgres]:
    # Not under pytest's own directory, which nobody but root can enter: the server runs as another user.
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    directory.chmod(0o755)
    try:
        running = Postgres(directory / "server")
        running.start()
    except PostgresError as reason:
        shutil.rmtree(directory)
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no PostgreSQL: {reason}")
    with running:
        yield running
    assert not is_taken(running.port)
    shutil.rmtree(directory)


def rows(server: Postgres) -> int:
    with psycopg.connect(server.url("shop").replace("postgres:", "postgresql:")) as connection:
        row = connection.execute("SELECT count(*) FROM item").fetchone()
    assert row is not None
    return int(row[0])


def test_postgres__what_is_committed_survives_a_kill_and_a_restart(server: Postgres) -> None:
    server.execute("CREATE DATABASE shop")
    with psycopg.connect(server.url("shop").replace("postgres:", "postgresql:")) as connection:
        connection.execute("CREATE TABLE item AS SELECT generate_series(1, 3)")
    server.kill()
    with pytest.raises(psycopg.OperationalError):
        rows(server)
    server.start()
    assert rows(server) == 3
    server.restart("immediate")
    assert rows(server) == 3


def test_postgres__a_statement_it_refuses_is_an_error(server: Postgres) -> None:
    with pytest.raises(PostgresError, match="refused: SELECT nothing"):
        server.execute("SELECT nothing")
