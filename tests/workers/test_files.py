from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.exceptions import SuspiciousFileOperation

from events import Skip
from library.models import Book
from tests.workers.occurrences import occurrence
from tests.workers.people import add_book
from workers.files import remove_deleted_cover, remove_replaced_cover

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


def put_file(media: Path, name: str, written: datetime = NOW - timedelta(days=1)) -> Path:
    path = media / name
    path.write_bytes(b"picture")
    os.utime(path, (written.timestamp(), written.timestamp()))
    return path


def replaced(before: str | None, after: str | None):
    return occurrence(changes={"cover": (before, after)})


def test_remove_deleted_cover__removes_the_file(media: Path):
    file = put_file(media, "covers/dune.png")

    remove_deleted_cover(Book, instance=Book(pk=1, cover="covers/dune.png"), event=occurrence())

    assert not file.exists()


def test_remove_deleted_cover__a_second_try_finds_nothing_to_do(media: Path):
    put_file(media, "covers/dune.png")

    for _ in range(2):
        remove_deleted_cover(Book, instance=Book(pk=1, cover="covers/dune.png"), event=occurrence())


def test_remove_deleted_cover__a_file_that_another_row_uses_stays(media: Path):
    file = put_file(media, "covers/dune.png")
    other = add_book("Dune, second edition", cover="covers/dune.png")

    with pytest.raises(Skip, match=f"library.book/{other.pk} uses covers/dune.png"):
        remove_deleted_cover(Book, instance=Book(pk=1000, cover="covers/dune.png"), event=occurrence())

    assert file.exists()


def test_remove_deleted_cover__a_file_written_again_since_stays(media: Path):
    event = occurrence()
    file = put_file(media, "covers/dune.png", written=event.time + timedelta(seconds=1))

    with pytest.raises(Skip, match="written again"):
        remove_deleted_cover(Book, instance=Book(pk=1, cover="covers/dune.png"), event=event)

    assert file.exists()


@pytest.mark.parametrize("name", ["../outside.png", "covers/../../outside.png", "/outside.png"])
def test_remove_deleted_cover__never_leaves_media_root(media: Path, name: str):
    outside = put_file(media, "../outside.png")

    with pytest.raises(SuspiciousFileOperation):
        remove_deleted_cover(Book, instance=Book(pk=1, cover=name), event=occurrence())

    assert outside.exists()


def test_remove_deleted_cover__other_files_stay(media: Path):
    put_file(media, "covers/dune.png")
    other = put_file(media, "covers/emma.png")

    remove_deleted_cover(Book, instance=Book(pk=1, cover="covers/dune.png"), event=occurrence())

    assert other.exists()


def test_remove_replaced_cover__removes_the_file_of_before(media: Path):
    old, new = put_file(media, "covers/old.png"), put_file(media, "covers/new.png")
    add_book("Dune", cover="covers/new.png")

    remove_replaced_cover(Book, event=replaced("covers/old.png", "covers/new.png"))

    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("cleared", ["", None])
def test_remove_replaced_cover__a_cleared_one_goes_too(media: Path, cleared: str | None):
    old = put_file(media, "covers/old.png")

    remove_replaced_cover(Book, event=replaced("covers/old.png", cleared))

    assert not old.exists()


def test_remove_replaced_cover__a_file_taken_back_stays(media: Path):
    old = put_file(media, "covers/old.png")
    add_book("Dune", cover="covers/old.png")

    with pytest.raises(Skip, match="uses covers/old"):
        remove_replaced_cover(Book, event=replaced("covers/old.png", "covers/new.png"))

    assert old.exists()


@pytest.mark.parametrize("changes", [{}, {"title": ("a", "b")}, {"cover": ("", "covers/new.png")}])
def test_remove_replaced_cover__nothing_to_remove_is_skipped(
    media: Path, changes: dict[str, tuple[str, str]]
):
    with pytest.raises(Skip, match="no cover"):
        remove_replaced_cover(Book, event=occurrence(changes=changes))
