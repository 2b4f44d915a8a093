"""What the kill switch knows of a receiver it parked: docs/decisions/0014-kill-switch.md."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('offload', '0010_failures'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='pausedreceiver',
            options={'verbose_name': 'receiver'},
        ),
        migrations.AddField(
            model_name='pausedreceiver',
            name='by',
            field=models.CharField(blank=True, db_default='', default='', max_length=200),
        ),
        migrations.AddField(
            model_name='pausedreceiver',
            name='probe',
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name='pausedreceiver',
            name='probe_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='pausedreceiver',
            name='why',
            field=models.CharField(blank=True, db_default='', default='', max_length=500),
        ),
    ]
