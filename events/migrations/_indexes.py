"""Indexes of large tables, made while others go on writing."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex
from django.db.migrations.state import ProjectState
from django.db.models import Index


class AddIndexBeside(AddIndex):
    """What `AddIndex` does, in a migration with `atomic = False`: on PostgreSQL, no writer waits for it.

    An index of that name that is there already stays as it is: an earlier version of our migrations has made it.
    One that a killed migration left half made is made anew. `on_mysql`: its columns there, where no index is partial;
    None: none. Django's own for PostgreSQL can't be imported without its driver, and fails where it was killed before.
    """

    def __init__(self, model_name: str, index: Index, *, on_mysql: tuple[str, ...] | None) -> None:
        super().__init__(model_name, index)
        self.on_mysql = on_mysql

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table, vendor = model._meta.db_table, schema_editor.connection.vendor
        if _is_there(schema_editor, table, self.index.name):
            return
        if vendor == "postgresql":
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
            schema_editor.add_index(model, self.index, concurrently=True)  # type: ignore[call-arg]
        elif vendor != "mysql":
            schema_editor.add_index(model, self.index)
        elif self.on_mysql is not None:
            columns = ", ".join(self.on_mysql)
            schema_editor.execute(f"ALTER TABLE {table} ADD INDEX {self.index.name} ({columns})")

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if _is_there(schema_editor, model._meta.db_table, self.index.name):
            at_once: dict[str, Any] = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
            schema_editor.remove_index(model, self.index, **at_once)


def _is_there(schema_editor: BaseDatabaseSchemaEditor, table: str, name: str) -> bool:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name])
            return bool(cursor.fetchone() == (True,))
        return name in connection.introspection.get_constraints(cursor, table)
