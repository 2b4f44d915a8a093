from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management.sql import emit_post_migrate_signal

from library.models import Book

pytestmark = pytest.mark.django_db


def migrate_again() -> None:
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")


def permissions_of(name: str) -> set[str]:
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


def test_post_migrate__made_both_groups_with_their_permissions() -> None:
    assert permissions_of("Students") == {"view_book", "add_book", "view_category"}
    assert {"change_book", "delete_book", "add_category"} < permissions_of("Teachers")


def test_post_migrate__again_adds_nothing_and_gives_nothing_back() -> None:
    Group.objects.get(name="Students").permissions.clear()
    migrate_again()
    assert Group.objects.filter(name__in=["Students", "Teachers"]).count() == 2
    assert permissions_of("Students") == set()


def test_post_migrate__brings_a_lost_group_back() -> None:
    Group.objects.all().delete()
    migrate_again()
    assert "delete_book" in permissions_of("Teachers")


def test_post_migrate__fills_an_empty_library_where_asked_to(settings: Any) -> None:
    migrate_again()
    assert not Book.objects.exists()
    settings.LIBRARY = {"DEMO_DATA_AFTER_MIGRATE": True}
    migrate_again()
    assert Book.objects.count() == 300
    Book.objects.filter(is_featured=False).first().delete()
    migrate_again()  # no longer empty: left alone
    assert Book.objects.count() == 299
