"""When a replay asked for a delivery: what is measured from its event would be a wait of weeks."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('offload', '0011_kill_switch'),
    ]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='asked_at',
            field=models.DateTimeField(null=True),
        ),
    ]
