from __future__ import annotations

import json

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core import serializers

from library.models import Profile
from library.signals import user_registered

pytestmark = pytest.mark.django_db


def test_profile__is_there_at_once_for_a_new_user() -> None:
    user = get_user_model().objects.create_user("noor")
    assert user.profile.books_read == 0


def test_profile__saving_the_user_again_makes_no_second(reader: User) -> None:
    reader.first_name = "Rosa"
    reader.save()
    assert Profile.objects.filter(user=reader).count() == 1


def test_profile__a_fixture_brings_its_own(reader: User) -> None:
    row = json.loads(serializers.serialize("json", [reader]))[0]
    row["pk"], row["fields"]["username"] = reader.pk + 1, "from-a-fixture"
    next(iter(serializers.deserialize("json", json.dumps([row])))).save()
    assert not Profile.objects.filter(user_id=reader.pk + 1).exists()


def test_profile__goes_with_its_user(reader: User) -> None:
    reader.delete()
    assert not Profile.objects.exists()


def test_increment_books_read__two_stale_objects_lose_nothing(reader: User) -> None:
    one, other = Profile.objects.get(user=reader), Profile.objects.get(user=reader)
    one.increment_books_read()
    other.increment_books_read()
    assert Profile.objects.get(user=reader).books_read == 2


def test_students__who_registers_joins_them(reader: User) -> None:
    assert not reader.groups.exists()
    user_registered.send(sender=type(reader), user=reader)
    assert [group.name for group in reader.groups.all()] == ["Students"]
