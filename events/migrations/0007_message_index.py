"""Of the records that ran in a message, and no others. See docs/decisions/0011-backlogs.md."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("offload", "0006_claim")]

    operations = [
        migrations.AlterField(
            model_name="delivery",
            name="message_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["message_id"],
                name="offload_delivery_message",
                condition=models.Q(message_id__isnull=False),
            ),
        ),
    ]
