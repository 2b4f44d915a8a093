"""What a worker would not run."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class Refusal(models.Model):
    """Messages a worker would not run: forged, altered, unknown or of a pruned event. See events.delivery.refusing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    # The first of them and the last, whose id and worker are kept.
    first_at = models.DateTimeField(db_default=Now())
    at = models.DateTimeField(db_default=Now(), db_index=True)
    count = models.PositiveBigIntegerField(default=1)
    reason = models.CharField(max_length=300)
    receiver = models.CharField(max_length=200, blank=True)
    message_id = models.CharField(max_length=200, blank=True)
    worker = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "offload_refusal"
        ordering: ClassVar = ["-at"]

    def __str__(self) -> str:
        return self.reason
