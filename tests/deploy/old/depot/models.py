from __future__ import annotations

from django.db import models


class Parcel(models.Model):
    title = models.CharField(max_length=50)
    weight = models.CharField(max_length=20, default="heavy")
    colour = models.CharField(max_length=20, default="red")
