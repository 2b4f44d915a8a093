"""Who did what with events and deliveries; and a permission to replay."""

from __future__ import annotations

import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def adapt(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "mysql":
        # As in 0004: any text may hold any character.
        schema_editor.execute(
            "ALTER TABLE offload_action CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        )


class Migration(migrations.Migration):
    dependencies = [("offload", "0008_figures")]

    operations = [
        migrations.CreateModel(
            name="Action",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), db_index=True
                    ),
                ),
                ("by", models.CharField(max_length=200)),
                ("what", models.CharField(max_length=20)),
                ("target", models.CharField(blank=True, max_length=300)),
                ("count", models.PositiveBigIntegerField(default=0)),
                ("why", models.TextField(blank=True)),
            ],
            options={"db_table": "offload_action", "ordering": ["-id"]},
        ),
        migrations.AlterModelOptions(
            name="eventrecord",
            options={
                "ordering": ["-id"],
                "permissions": [("replay_eventrecord", "Can replay events")],
                "verbose_name": "event",
            },
        ),
        migrations.AlterModelOptions(
            name="queue",
            options={"permissions": [("pause_queue", "Can pause and resume queues and receivers")]},
        ),
        migrations.RunPython(adapt, migrations.RunPython.noop, atomic=False),
    ]
