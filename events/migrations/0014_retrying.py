"""The index of what failed and is tried again, for the pages. See docs/decisions/0013-figures.md."""

from __future__ import annotations

from django.db import migrations, models

from events.migrations._indexes import AddIndexBeside


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("offload", "0013_indexes")]

    operations = [
        AddIndexBeside(
            "delivery",
            models.Index(
                fields=["event", "queue", "receiver", "tries"],
                name="offload_delivery_retrying",
                condition=models.Q(state="waiting", tries__gt=0),
            ),
            # It would be one of all deliveries, and each would pay for it.
            on_mysql=None,
        ),
    ]
