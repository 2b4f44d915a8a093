from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models import Count
from PIL import Image
from pytest_django.fixtures import DjangoAssertNumQueries

from events.testing import captured_events
from library.demo.covers import draw_cover
from library.demo.shelves import planned_books
from library.models import Book, Category, Profile, Reading

pytestmark = pytest.mark.django_db
SMALL = {"books": 30, "readers": 5, "covers": 3}


def run(**options: Any) -> str:
    out = StringIO()
    call_command("demo_data", **(SMALL | options), stdout=out)
    return out.getvalue()


def contents() -> dict[str, list[Any]]:
    return {
        "books": list(
            Book.objects.order_by("slug").values_list("slug", "title", "author", "cover", "is_featured")
        ),
        "shelves": list(
            Book.categories.through.objects.values_list("book__slug", "category__slug").order_by(
                "book__slug", "category__slug"
            )
        ),
        "readings": list(
            Reading.objects.values_list("user__username", "book__slug", "read_at").order_by(
                "user__username", "book__slug"
            )
        ),
        "profiles": list(
            Profile.objects.values_list("user__username", "books_read").order_by("user__username")
        ),
        "users": list(User.objects.values_list("username", "first_name", "email").order_by("username")),
    }


def test_demo_data__fills_the_library() -> None:
    run()
    assert (Book.objects.count(), Category.objects.count(), User.objects.count()) == (30, 12, 6)
    assert not Book.objects.annotate(n=Count("categories")).filter(n=0).exists()
    assert Book.objects.exclude(cover="").count() == 3
    assert Book.objects.filter(is_featured=True).exists()


def test_demo_data__twice_adds_nothing(media_root: Path) -> None:
    run()
    before, files = contents(), sorted(media_root.rglob("*"))
    run()
    assert contents() == before
    assert sorted(media_root.rglob("*")) == files


def test_demo_data__more_books_leave_the_first_ones_as_they_were() -> None:
    assert planned_books(300)[:30] == planned_books(30)
    assert len({plan.slug for plan in planned_books(3000)}) == 3000
    run()
    run(books=50, readers=8)
    assert (Book.objects.count(), User.objects.count()) == (50, 9)


def test_demo_data__what_a_reader_has_read_is_what_the_profile_says() -> None:
    run()
    read = dict(Reading.objects.values_list("user__username").annotate(n=Count("pk")))
    assert {p.user.username: p.books_read for p in Profile.objects.exclude(user__username="admin")} == read
    assert set(User.objects.filter(groups__name="Students").values_list("username", flat=True)) == set(read)


def test_demo_data__tells_the_bus_nothing() -> None:
    with captured_events() as events:
        run()
    assert not list(events)


def test_demo_data__shows_its_progress() -> None:
    assert run().splitlines()[1] == f"books       {'█' * 30} 30/30"
    assert "books" not in run(verbosity=0)


def test_demo_data__takes_few_queries(
    django_assert_max_num_queries: Callable[..., DjangoAssertNumQueries],
) -> None:
    with django_assert_max_num_queries(60):
        run(books=300, readers=40, covers=0)
    assert Reading.objects.count() > 400


def test_admin__gets_the_password_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "password: as given" in run(admin_password="from the option")
    assert get_user_model().objects.get(username="admin").check_password("from the option")
    assert "changed" in run(admin_password="another one")
    monkeypatch.setenv("ADMIN_PASSWORD", "from the environment")
    run()
    assert get_user_model().objects.get(username="admin").check_password("from the environment")


def test_admin__gets_a_new_password_which_is_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    shown = run().split("password: ")[1].split()[0]
    admin = get_user_model().objects.get(username="admin")
    assert admin.is_superuser
    assert admin.check_password(shown)
    assert "password unchanged" in run()
    assert get_user_model().objects.get(username="admin").check_password(shown)


def test_admin__has_a_profile_like_everyone() -> None:
    run()
    assert Profile.objects.filter(user__username="admin").exists()


def test_cover__is_a_picture_and_always_the_same(media_root: Path) -> None:
    assert draw_cover("Rain", "Ines") == draw_cover("Rain", "Ines") != draw_cover("Snow", "Ines")
    run()
    with Image.open(Book.objects.exclude(cover="").first().cover.path) as image:
        assert (image.format, image.size) == ("WEBP", (320, 480))


def test_demo_data__a_negative_number_is_refused() -> None:
    with pytest.raises(CommandError, match="--books can't be negative"):
        run(books=-1)
