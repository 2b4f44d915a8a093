"""What MySQL and MariaDB need beside what Django makes there: docs/decisions/0008-engines.md."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLES = (
    "offload_event",
    "offload_delivery",
    "offload_worker",
    "offload_queue",
    "offload_paused_receiver",
    "offload_refusal",
)


def adapt(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "mysql":
        return
    for table in TABLES:
        # Two receivers may differ in nothing but the case of a letter, and any text may hold any character.
        schema_editor.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    # There are no partial indexes: Django makes them of all rows. With the state first, the rows that are
    # finished are still not touched by who looks for the others, nor by who looks for the dead. The second also
    # tells which receivers have something waiting, without a look at the rows.
    schema_editor.execute(
        "ALTER TABLE offload_delivery "
        "DROP INDEX offload_delivery_due, ADD INDEX offload_delivery_due (state, queue, next_at), "
        "DROP INDEX offload_delivery_dead, ADD INDEX offload_delivery_dead (state, queue, receiver, next_at)"
    )


class Migration(migrations.Migration):
    dependencies = [("offload", "0003_retention")]

    operations = [migrations.RunPython(adapt, migrations.RunPython.noop, atomic=False)]
