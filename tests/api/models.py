"""Models for what the small shop doesn't have: a custom through model, documents, keys of several kinds."""

from __future__ import annotations

import uuid

from django.db import models


class Person(models.Model):
    name = models.CharField(max_length=50)
    password = models.CharField(max_length=50, blank=True)
    born = models.DateField(null=True)
    likes = models.JSONField(default=dict)
    photo = models.FileField(upload_to="people", blank=True)
    score = models.IntegerField(default=0)
    boss = models.ForeignKey("self", models.SET_NULL, null=True)
    friends = models.ManyToManyField("self")


class Team(models.Model):
    name = models.CharField(max_length=50)
    members = models.ManyToManyField(Person, through="Membership", related_name="teams")


class Membership(models.Model):
    person = models.ForeignKey(Person, models.CASCADE)
    team = models.ForeignKey(Team, models.CASCADE)
    since = models.DateField(null=True)


class Parcel(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)


class Ticket(models.Model):
    token = models.CharField(max_length=50, primary_key=True)
    seat = models.CharField(max_length=10, blank=True)
