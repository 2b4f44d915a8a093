from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from library.models import Category
from library.receivers.backups import back_up, database_file, remove_old

ALIAS = "a_file_of_its_own"


@pytest.fixture
def database(tmp_path: Path, django_db_blocker: Any) -> Iterator[Path]:
    """A migrated SQLite file behind an alias, in a folder whose name needs quoting in a URI."""
    file = tmp_path / "50% of #1" / "db.sqlite3"
    file.parent.mkdir()
    config = {"default": {}, ALIAS: {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}}
    connections.settings[ALIAS] = connections.configure_settings(config)[ALIAS]
    with django_db_blocker.unblock():
        call_command("migrate", database=ALIAS, verbosity=0)
        yield file
        connections[ALIAS].close()
    del connections[ALIAS], connections.settings[ALIAS]


def backups(database: Path) -> list[Path]:
    return sorted((database.parent / "backups").glob("*"))


def test_pre_migrate__backs_up_before_the_first_migration(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Category.objects.using(ALIAS).create(name="Kept in the backup")
    call_command("migrate", "library", "zero", database=ALIAS, verbosity=1)
    (backup,) = backups(database)
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT name FROM library_category").fetchall() == [("Kept in the backup",)]
    assert "library_category" not in connections[ALIAS].introspection.table_names()
    assert f"Backed up db.sqlite3 to {backup}" in capsys.readouterr().out


def test_pre_migrate__the_backup_is_for_the_owners_eyes(database: Path) -> None:
    assert back_up(database, database.parent / "backups").stat().st_mode & 0o077 == 0


def test_pre_migrate__makes_none_for_a_new_database(database: Path) -> None:
    assert backups(database) == []


def test_pre_migrate__makes_none_where_nothing_changes(database: Path) -> None:
    call_command("migrate", database=ALIAS, verbosity=0)
    assert backups(database) == []


def test_pre_migrate__keeps_the_newest_few(database: Path, settings: Any) -> None:
    settings.LIBRARY = {"BACKUPS_KEPT": 2}
    for target in ("zero", None, "zero"):
        call_command("migrate", "library", *([target] if target else []), database=ALIAS, verbosity=0)
    with closing(sqlite3.connect(backups(database)[-1])) as newest:
        tables = {name for (name,) in newest.execute("SELECT name FROM sqlite_master")}
    assert len(backups(database)) == 2
    assert "library_book" in tables


def test_backup__holds_what_is_still_in_the_write_ahead_log(tmp_path: Path) -> None:
    file = tmp_path / "wal.sqlite3"
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (x)")
        writer.execute("INSERT INTO t VALUES (42)")
        writer.commit()
        target = back_up(file, tmp_path / "backups")
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT x FROM t").fetchall() == [(42,)]


def test_backup__keeping_none_leaves_none(tmp_path: Path) -> None:
    (tmp_path / "db-20260101.sqlite3").touch()
    (tmp_path / "another-20260101.sqlite3").touch()
    remove_old(tmp_path, "db", keep=0)
    assert [file.name for file in tmp_path.iterdir()] == ["another-20260101.sqlite3"]


def test_database_file__none_for_a_database_in_memory(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database_file(ALIAS) == database
    # Undone at once: the fixture's close() does nothing for a database in memory.
    with monkeypatch.context() as patch:
        patch.setitem(connections[ALIAS].settings_dict, "NAME", ":memory:")
        assert database_file(ALIAS) is None
