"""What the pages and metrics tell, and who counts it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from django.conf import settings
from django.db import connections, models
from django.db.models.functions import Now


class Minute(models.Model):
    """What ended in one minute, by receiver, queue and state; from here the figures come, never from the deliveries.

    `ever` is no minute: it sums up all of them. Events have no receiver. See docs/decisions/0013-figures.md.
    """

    EMITTED: ClassVar = "emitted"

    minute = models.DateTimeField()
    receiver = models.CharField(max_length=200, blank=True)
    queue = models.CharField(max_length=100, blank=True)
    # A delivery's last, or `EMITTED`.
    state = models.CharField(max_length=10)
    count = models.PositiveBigIntegerField(default=0)
    # Tries that failed before they ended so.
    failed_tries = models.PositiveBigIntegerField(default=0)
    # Numbers of deliveries by the bounds of events.histogram: from emission to the start, and from there to the end.
    wait: models.JSONField[list[int], list[int]] = models.JSONField(default=list)
    run: models.JSONField[list[int], list[int]] = models.JSONField(default=list)
    # Sums of the same, and the longest run.
    wait_ms = models.PositiveBigIntegerField(default=0)
    run_ms = models.PositiveBigIntegerField(default=0)
    slowest_ms = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "offload_minute"
        # As the admin lists it: its page shows what all of them say.
        verbose_name = "health"
        verbose_name_plural = "health"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["minute", "receiver", "queue", "state"], name="offload_minute_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.receiver} {self.state}"

    @staticmethod
    def ever(using: str) -> datetime:
        """As the database takes it: without a zone where neither it nor Django has any."""
        zone = UTC if settings.USE_TZ or connections[using].features.supports_timezones else None
        return datetime(1970, 1, 1, tzinfo=zone)


class Meter(models.Model):
    """One relay at a time reads the meter. It has one row."""

    name = models.CharField(primary_key=True, max_length=20)
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True)
    read_at = models.DateTimeField(db_default=Now())
    # Minutes before it have been counted after their end; and once more, when nobody could add to them any more.
    counted_to = models.DateTimeField(null=True)
    settled_to = models.DateTimeField(null=True)
    # Whether the relays reach the broker, since when, and what it says if they don't.
    broker_ok = models.BooleanField(default=True)
    broker_since = models.DateTimeField(null=True)
    broker_error = models.CharField(max_length=300, blank=True)

    class Meta:
        db_table = "offload_meter"

    def __str__(self) -> str:
        return self.name
