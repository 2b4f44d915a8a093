from __future__ import annotations

from django.db import models


class Effect(models.Model):
    """One row per effect. No constraint: a second one must show."""

    receiver = models.CharField(max_length=20)
    key = models.CharField(max_length=100)

    def __str__(self) -> str:
        return f"{self.receiver} {self.key}"
