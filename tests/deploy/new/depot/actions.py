"""What a web process of this version can be told to do."""

from __future__ import annotations

from depot.models import Parcel
from depot.signals import counted, stored


def save(number: int) -> None:
    Parcel.objects.create(title=f"{number}")


def edit(number: int) -> None:
    parcel = Parcel.objects.all()[number]
    parcel.title, parcel.weight, parcel.fragile = "other", 7, False
    parcel.save()


def delete(number: int) -> None:
    Parcel.objects.all()[0].delete()


def store(number: int) -> None:
    stored.send(item=Parcel.objects.create(title=f"{number}"), place=f"room {number}")


def count(number: int) -> None:
    counted.send(number=number)
