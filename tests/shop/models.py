"""Small models for the tests of the bus, and the ledger of what its receivers did."""

from __future__ import annotations

from django.db import models

from events import AtomicSave


class Tag(models.Model):
    name = models.CharField(max_length=50)


class Item(models.Model):
    title = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=8, decimal_places=2, default="1.00")
    api_token = models.CharField(max_length=50, blank=True)
    tags = models.ManyToManyField(Tag, related_name="items")


class SafeItem(AtomicSave, Item):
    class Meta:
        proxy = True


class Essay(models.Model):
    """Of any length."""

    text = models.TextField()


class Effect(models.Model):
    """One row per effect: what a receiver did, for whom. No constraint: a second one must show."""

    receiver = models.CharField(max_length=100)
    key = models.CharField(max_length=100)
    note = models.TextField(blank=True)


class Unique(models.Model):
    """To provoke an IntegrityError."""

    name = models.CharField(max_length=50, unique=True)
