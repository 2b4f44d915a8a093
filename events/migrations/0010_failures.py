"""Kinds of failure, what each failed try said, and jobs. Dead letters of before have no fingerprint: one kind.

Their index: 0013_indexes.
"""

from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def adapt(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "mysql":
        # As in 0004.
        schema_editor.execute(
            "ALTER TABLE offload_delivery "
            "MODIFY fingerprint varchar(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT ''"
        )


class Migration(migrations.Migration):

    dependencies = [
        ('offload', '0009_actions'),
    ]

    operations = [
        migrations.CreateModel(
            name='Failure',
            fields=[
            ],
            options={
                'verbose_name_plural': 'failures',
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('offload.delivery',),
        ),
        migrations.AlterModelOptions(
            name='delivery',
            options={'ordering': ['-id'], 'permissions': [('redeliver_delivery', 'Can redeliver dead letters'), ('discard_delivery', 'Can discard dead letters'), ('note_delivery', 'Can write notes on failures')], 'verbose_name': 'delivery', 'verbose_name_plural': 'deliveries'},
        ),
        migrations.RemoveIndex(
            model_name='delivery',
            name='offload_delivery_dead',
        ),
        migrations.AddField(
            model_name='action',
            name='chosen',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='action',
            name='cursor',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='action',
            name='finished_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='action',
            name='first',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='action',
            name='first_alone',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='action',
            name='last',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='action',
            name='next_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='action',
            name='outcome',
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name='action',
            name='passed',
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='action',
            name='rate',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='action',
            name='state',
            field=models.CharField(choices=[('running', 'running'), ('done', 'done'), ('stopped', 'stopped')], default='done', max_length=10),
        ),
        migrations.AddField(
            model_name='action',
            name='total',
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='delivery',
            name='failures',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='delivery',
            name='fingerprint',
            field=models.CharField(blank=True, db_default='', default='', max_length=16),
        ),
        migrations.AddField(
            model_name='delivery',
            name='sent_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name='action',
            index=models.Index(fields=['target'], name='offload_action_target'),
        ),
        migrations.AddIndex(
            model_name='action',
            index=models.Index(condition=models.Q(('state', 'running')), fields=['next_at'], name='offload_action_due'),
        ),
        migrations.RunPython(adapt, migrations.RunPython.noop, atomic=False),
    ]
