from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from library.conf import LibrarySettings, library_settings


def test_settings__have_defaults() -> None:
    with override_settings(LIBRARY={}):
        assert library_settings() == LibrarySettings()


def test_settings__are_read_once_and_anew_after_a_change() -> None:
    before = library_settings()
    assert library_settings() is before
    with override_settings(LIBRARY={"BOOKS_PER_PAGE": 7}):
        assert library_settings().books_per_page == 7
    assert library_settings() == before


def test_settings__another_setting_leaves_the_cache_alone() -> None:
    before = library_settings()
    with override_settings(TIME_ZONE="Europe/Berlin"):
        assert library_settings() is before


def test_settings__an_unknown_one_is_named_with_those_there_are(settings: Any) -> None:
    settings.LIBRARY = {"BOOKS_PER_PGE": 7}
    with pytest.raises(
        ImproperlyConfigured,
        match=r"unknown settings: BOOKS_PER_PGE\. It may hold: BACKUPS_KEPT, BOOKS_PER_PAGE",
    ):
        library_settings()
