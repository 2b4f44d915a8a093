"""Who works, and on what: workers, queues, and receivers that hold still."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class Worker(models.Model):
    """A worker's own word: that it lives, what it serves, what it has in hand."""

    id = models.CharField(primary_key=True, max_length=200)
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())
    left_at = models.DateTimeField(null=True)
    processes = models.PositiveIntegerField(default=1)
    queues: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    receivers: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    # [receiver, event id] of every delivery in the messages it has taken from the broker.
    held: models.JSONField[list[list[str]], list[list[str]]] = models.JSONField(default=list)

    class Meta:
        db_table = "offload_worker"

    def __str__(self) -> str:
        return self.id


class Queue(models.Model):
    """One relay at a time feeds a queue: the one that holds its lease."""

    name = models.CharField(primary_key=True, max_length=100)
    paused = models.BooleanField(default=False)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "offload_queue"
        permissions: ClassVar = [("pause_queue", "Can pause and resume queues and receivers")]

    def __str__(self) -> str:
        return self.name


class PausedReceiver(models.Model):
    """Paused by a person, or parked by the kill switch: docs/decisions/0014-kill-switch.md."""

    name = models.CharField(primary_key=True, max_length=200)
    since = models.DateTimeField(db_default=Now())
    by = models.CharField(max_length=200, blank=True, default="", db_default="")
    why = models.CharField(max_length=500, blank=True, default="", db_default="")
    # When the next delivery is let through to see whether it has recovered; NULL: a person paused it.
    probe_at = models.DateTimeField(null=True)
    # The event whose delivery was let through last.
    probe = models.UUIDField(null=True)

    class Meta:
        db_table = "offload_paused_receiver"
        # As the admin lists them: its page shows those that run, too.
        verbose_name = "receiver"

    def __str__(self) -> str:
        return self.name
