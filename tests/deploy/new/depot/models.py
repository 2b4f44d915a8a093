from __future__ import annotations

from django.db import models


class Parcel(models.Model):
    """Without `colour`; `fragile` is new; `weight` was a text."""

    title = models.CharField(max_length=50)
    weight = models.IntegerField(default=5)
    fragile = models.BooleanField(default=True)
