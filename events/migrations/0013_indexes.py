"""The indexes of finished and of dead deliveries. See docs/rolling-deploys.md.

Earlier versions of 0008 and 0010 made them themselves, and held up every writer meanwhile. Where those have run, there
is nothing left to do.
"""

from __future__ import annotations

from django.db import migrations, models

from events.migrations._indexes import AddIndexBeside


class Migration(migrations.Migration):
    # PostgreSQL makes no index beside its writers in a transaction.
    atomic = False

    dependencies = [("offload", "0012_replays")]

    operations = [
        AddIndexBeside(
            "delivery",
            models.Index(
                fields=["finished_at"],
                name="offload_delivery_finished",
                condition=models.Q(finished_at__isnull=False),
            ),
            on_mysql=("finished_at",),
        ),
        AddIndexBeside(
            "delivery",
            models.Index(
                fields=["receiver", "fingerprint", "id", "finished_at"],
                name="offload_delivery_dead",
                condition=models.Q(state="dead"),
            ),
            # As in 0004: with the state first, in place of a partial index.
            on_mysql=("state", "receiver", "fingerprint", "id", "finished_at"),
        ),
    ]
