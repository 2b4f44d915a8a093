from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.db import connections
from django.db.models.signals import pre_migrate
from django.dispatch import receiver
from django.utils import timezone

from library.conf import library_settings


# Django sends it once per app, all before the first migration: one of them is enough.
@receiver(pre_migrate, sender=apps.get_app_config("library"))
def back_up_sqlite_file(
    sender: AppConfig, using: str, plan: list[Any], verbosity: int = 1, **kwargs: Any
) -> None:
    """Copies the SQLite file to `backups/` beside it, before the first migration changes it."""
    if not plan:
        return
    source = database_file(using)
    if source is None or not connections[using].introspection.table_names():
        return
    target = back_up(source, source.parent / "backups")
    remove_old(target.parent, source.stem, keep=library_settings().backups_kept)
    if verbosity >= 1:
        print(f"Backed up {source.name} to {target}")  # noqa: T201 -- among what `migrate` itself prints


def database_file(using: str) -> Path | None:
    """The SQLite file behind the alias; None for another database, one in memory, or one not there yet."""
    connection = connections[using]
    if connection.vendor != "sqlite" or connection.is_in_memory_db():
        return None
    file = Path(connection.settings_dict["NAME"])
    return file if file.is_file() else None


def back_up(source: Path, folder: Path) -> Path:
    """SQLite's own online backup: consistent while others write, and with what still is in the WAL file."""
    folder.mkdir(exist_ok=True)
    target = folder / f"{source.stem}-{timezone.now():%Y%m%dT%H%M%S-%f}.sqlite3"
    target.touch(mode=0o600)  # it holds what the database holds
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as here,
        closing(sqlite3.connect(target)) as there,
    ):
        here.backup(there)
    return target


def remove_old(folder: Path, stem: str, keep: int) -> None:
    # The time in the name sorts.
    newest_first = sorted(folder.glob(f"{stem}-*.sqlite3"), reverse=True)
    for old in newest_first[keep:]:
        old.unlink()
