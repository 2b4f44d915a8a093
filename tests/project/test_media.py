"""Uploaded files, as `project.media` serves them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from django.http import Http404
from django.test import RequestFactory
from pytest_django import Settings

from project.media import uploaded


@pytest.fixture
def cover(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path)
    cover = tmp_path / "cover.png"
    cover.write_bytes(b"an image")
    return cover


def test_uploaded_file__is_served(cover: Path, rf: RequestFactory) -> None:
    with closing(uploaded(rf.get("/media/cover.png"), cover.name)) as response:
        assert b"".join(response) == b"an image"
    assert response.headers["Content-Type"] == "image/png"


def test_uploaded_file__that_a_receiver_removes_meanwhile__is_not_found(
    cover: Path, rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed_in_between(*conditions: object) -> bool:
        """What Django asks between its look and opening the file."""
        cover.unlink()
        return True

    monkeypatch.setattr("django.views.static.was_modified_since", removed_in_between)
    with pytest.raises(Http404):
        uploaded(rf.get("/media/cover.png"), cover.name)
    assert not cover.exists()
