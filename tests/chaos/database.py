"""The database under test: a SQLite file, a private PostgreSQL, or one made for the run on a server that is given."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from project.dev.postgres import Postgres


class ChaosDatabase(Protocol):
    """What processes get as DATABASE_URL, and what a fault may do to it."""

    url: str
    name: str

    def end(self) -> None: ...


class Sqlite:
    name = "SQLite"

    def __init__(self, directory: Path) -> None:
        self.url = f"sqlite:///{directory / 'chaos.sqlite3'}"

    def end(self) -> None:
        """It goes with its directory."""


class PrivatePostgres:
    name = "PostgreSQL, private"

    def __init__(self, directory: Path) -> None:
        self.server = Postgres(directory / "postgres")
        try:
            self.server.start()
            self.server.execute("CREATE DATABASE chaos")
        except BaseException:
            self.server.stop()
            raise
        self.url = self.server.url("chaos")

    def cut_connections(self) -> None:
        self.server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'chaos'")

    def end(self) -> None:
        self.server.stop()


class GivenPostgres:
    """A database of the run's own, beside the one that DATABASE_URL names. Raises psycopg's errors."""

    name = "PostgreSQL, given"

    def __init__(self, url: str) -> None:
        self._given = url
        self._own = f"chaos_{uuid4().hex[:12]}"
        self._execute(f'CREATE DATABASE "{self._own}"')
        self.url = urlunsplit(urlsplit(url)._replace(path=f"/{self._own}"))

    def cut_connections(self) -> None:
        self._execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self._own]
        )

    def end(self) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{self._own}" WITH (FORCE)')

    def _execute(self, statement: str, params: list[str] | None = None) -> None:
        import psycopg

        # CREATE DATABASE wants no transaction; libpq knows the scheme under this name.
        with psycopg.connect(
            urlunsplit(urlsplit(self._given)._replace(scheme="postgresql")), autocommit=True
        ) as own:
            own.execute(statement, params)  # type: ignore[arg-type]
