"""What ended in each minute; the index by which it is counted: 0013_indexes. See docs/decisions/0013-figures.md."""

from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.functions import Now


def adapt(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """As in 0004: on MySQL two receivers may differ in nothing but the case of a letter."""
    if schema_editor.connection.vendor == "mysql":
        for table in ("offload_minute", "offload_meter"):
            schema_editor.execute(f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


class Migration(migrations.Migration):
    dependencies = [("offload", "0007_message_index")]

    operations = [
        migrations.CreateModel(
            name="Meter",
            fields=[
                ("name", models.CharField(max_length=20, primary_key=True, serialize=False)),
                ("lease_owner", models.CharField(blank=True, max_length=200)),
                ("lease_until", models.DateTimeField(null=True)),
                ("read_at", models.DateTimeField(db_default=Now())),
                ("counted_to", models.DateTimeField(null=True)),
                ("settled_to", models.DateTimeField(null=True)),
                ("broker_ok", models.BooleanField(default=True)),
                ("broker_since", models.DateTimeField(null=True)),
                ("broker_error", models.CharField(blank=True, max_length=300)),
            ],
            options={"db_table": "offload_meter"},
        ),
        migrations.CreateModel(
            name="Minute",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("minute", models.DateTimeField()),
                ("receiver", models.CharField(blank=True, max_length=200)),
                ("queue", models.CharField(blank=True, max_length=100)),
                ("state", models.CharField(max_length=10)),
                ("count", models.PositiveBigIntegerField(default=0)),
                ("failed_tries", models.PositiveBigIntegerField(default=0)),
                ("wait", models.JSONField(default=list)),
                ("run", models.JSONField(default=list)),
                ("wait_ms", models.PositiveBigIntegerField(default=0)),
                ("run_ms", models.PositiveBigIntegerField(default=0)),
                ("slowest_ms", models.PositiveBigIntegerField(default=0)),
            ],
            options={"db_table": "offload_minute", "verbose_name": "health", "verbose_name_plural": "health"},
        ),
        migrations.AddConstraint(
            model_name="minute",
            constraint=models.UniqueConstraint(
                fields=("minute", "receiver", "queue", "state"), name="offload_minute_once"
            ),
        ),
        migrations.CreateModel(
            name="FlowMap",
            fields=[],
            options={
                "proxy": True,
                "verbose_name": "flow map",
                "verbose_name_plural": "flow map",
                "indexes": [],
                "constraints": [],
            },
            bases=("offload.queue",),
        ),
        migrations.RunPython(adapt, migrations.RunPython.noop, atomic=False),
    ]
