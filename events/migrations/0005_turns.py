"""The relay's index of what waits, by receiver. See docs/decisions/0011-backlogs.md."""

from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def adapt(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "mysql":
        return
    # As in 0004: with the state first. The index of the dead told until now whose turn it is, too.
    schema_editor.execute(
        "ALTER TABLE offload_delivery "
        "DROP INDEX offload_delivery_turn, ADD INDEX offload_delivery_turn (state, queue, receiver, next_at), "
        "DROP INDEX offload_delivery_dead, ADD INDEX offload_delivery_dead (state, receiver, finished_at)"
    )


class Migration(migrations.Migration):
    dependencies = [("offload", "0004_mysql")]

    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["queue", "receiver", "next_at", "id"],
                name="offload_delivery_turn",
                condition=models.Q(state="waiting"),
            ),
        ),
        migrations.RunPython(adapt, migrations.RunPython.noop, atomic=False),
    ]
