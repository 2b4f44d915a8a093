from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySettings:
    """What `settings.LIBRARY` may hold, each key in capitals, and what holds where it says nothing."""

    slow_request_ms: float = 500
    cover_max_bytes: int = 2 * 1024 * 1024
    cover_max_pixels: int = 25_000_000  # what a decoded cover may take: a small file can unpack to gigabytes
    books_per_page: int = 24
    categories_per_book: int = 5
    backups_kept: int = 5
    demo_data_after_migrate: bool = False


@cache
def library_settings() -> LibrarySettings:
    given = getattr(settings, "LIBRARY", {})
    known = {field.name.upper(): field.name for field in fields(LibrarySettings)}
    if unknown := sorted(set(given) - set(known)):
        raise ImproperlyConfigured(
            f"LIBRARY has unknown settings: {', '.join(unknown)}. It may hold: {', '.join(sorted(known))}."
        )
    return LibrarySettings(**{known[key]: value for key, value in given.items()})
