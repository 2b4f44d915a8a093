"""Four receivers listen to each model but `Plain`; which kind they are of is what tells the models apart."""

from __future__ import annotations

from django.db import models


class Saved(models.Model):
    title = models.CharField(max_length=200)
    author = models.CharField(max_length=100)
    description = models.TextField()
    pages = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=8, decimal_places=2)
    added_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title


class Plain(Saved):
    """Nobody listens: the save that all others are compared with."""


class Item(Saved):
    """Its receivers do nothing."""


class Listed(Saved):
    """Its receivers insert a row for each event: where they can, many at once."""


class Loose(Saved):
    """Its receivers do nothing, and each delivery is recorded by itself."""


class Inserted(models.Model):
    """Has no constraint: a second one must show."""

    receiver = models.PositiveSmallIntegerField()
    event = models.PositiveBigIntegerField()

    def __str__(self) -> str:
        return f"{self.receiver} {self.event}"
