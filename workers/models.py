from __future__ import annotations

from typing import ClassVar

from django.db import models


class Alert(models.Model):
    """One distinct failure in one hour: its row is what makes the mail about it the only one."""

    fingerprint = models.CharField(max_length=64)
    hour = models.DateTimeField(help_text="The start of the hour, UTC.")
    count = models.PositiveIntegerField(default=1, help_text="How often it happened in that hour.")
    exception = models.CharField(max_length=200)
    message = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    method = models.CharField(max_length=10, blank=True)
    route = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["-hour", "-count"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["fingerprint", "hour"], name="workers_alert_once_an_hour"),
        ]

    def __str__(self) -> str:
        # One about a receiver happened in no request.
        return f"{self.exception} at /{self.route}" if self.method else self.exception
