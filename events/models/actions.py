"""What people did."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now


class Action(models.Model):
    """What a person did with events and deliveries: who, when, what, how many of them, and why.

    A running one is a job: relays work it off in small steps, see events.relay.jobs.
    """

    class State(models.TextChoices):
        RUNNING = "running", "running"
        DONE = "done", "done"
        STOPPED = "stopped", "stopped"

    at = models.DateTimeField(db_default=Now(), db_index=True)
    # A user's name; from the command line, with where it came from.
    by = models.CharField(max_length=200)
    # A past participle: redelivered, paused, noted.
    what = models.CharField(max_length=20)
    target = models.CharField(max_length=300, blank=True)
    # Deliveries, events or targets that it changed.
    count = models.PositiveBigIntegerField(default=0)
    # The reason; of a note, its text; of a receiver that was parked, after a colon, an error's words.
    why = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DONE)
    # Of a job: which dead letters (see events.relay.jobs.Chosen), how many that were, and how many it came to.
    chosen: models.JSONField[Any, Any] = models.JSONField(null=True)
    total = models.PositiveBigIntegerField(null=True)
    passed = models.PositiveBigIntegerField(default=0)
    # Ids of deliveries: the last one it came to, and the last there was when it was asked for.
    cursor = models.BigIntegerField(default=0)
    last = models.BigIntegerField(default=0)
    # Deliveries a second, at most; NULL: as fast as the relay goes.
    rate = models.FloatField(null=True)
    # Whether the rest waits until the first of them has succeeded, and which that is.
    first_alone = models.BooleanField(default=False)
    first = models.BigIntegerField(null=True)
    next_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # Why it stopped; after a colon, in an error's words: see events.texts.unquoted.
    outcome = models.TextField(blank=True)

    class Meta:
        db_table = "offload_action"
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["target"], name="offload_action_target"),
            models.Index(fields=["next_at"], name="offload_action_due", condition=models.Q(state="running")),
        ]

    def __str__(self) -> str:
        return f"{self.by} {self.what} {self.target}".strip()
