"""What the load works on, and both sides of the ledger: what was committed, and what came of it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Tag(models.Model):
    name = models.CharField(max_length=50)


class Item(models.Model):
    # The mark of the event that this save, deletion or change of tags is: see Truth.
    mark = models.CharField(max_length=60)
    tags = models.ManyToManyField(Tag, related_name="items")


class Truth(models.Model):
    """An event that was emitted, written in the same transaction and savepoint: it is there if that committed."""

    mark = models.CharField(max_length=60, primary_key=True)
    kind = models.CharField(max_length=20)
    # The round of the run it was emitted in.
    round = models.IntegerField(db_index=True)


class Effect(models.Model):
    """What a receiver did. No constraint: a second one must show."""

    mark = models.CharField(max_length=60)
    round = models.IntegerField()
    receiver = models.CharField(max_length=40)
    key = models.CharField(max_length=100)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["round", "receiver", "mark"], name="chaos_effect_round")]


class Expectation(models.Model):
    """Every event of this kind has an effect of this receiver: exactly one where it is atomic."""

    kind = models.CharField(max_length=20)
    receiver = models.CharField(max_length=40)
    atomic = models.BooleanField()


class RolledBack(models.Model):
    """A mark whose transaction or savepoint its web process rolled back, as it wrote down in a file."""

    mark = models.CharField(max_length=60)
