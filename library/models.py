from __future__ import annotations

from enum import StrEnum
from typing import Any
from zlib import crc32

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

PLACEHOLDER_TONES = 8  # as many as the style sheet has


class Category(models.Model):
    name = models.CharField(max_length=80, unique=True)
    slug = models.SlugField(
        max_length=80, unique=True, blank=True, help_text="Made from the name if left empty."
    )

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class CoverChange(StrEnum):
    KEPT = "kept"
    ADDED = "added"
    REPLACED = "replaced"
    REMOVED = "removed"


class Book(models.Model):
    title = models.CharField(max_length=200)
    slug = models.SlugField(
        max_length=220, unique=True, blank=True, help_text="Made from the title if left empty."
    )
    author = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    cover = models.ImageField(upload_to="covers/", blank=True)
    is_featured = models.BooleanField(
        "featured", default=False, help_text="A featured book can't be deleted."
    )
    categories = models.ManyToManyField(Category, related_name="books", blank=True)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="books_added"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    # The cover's name in the database when this object was loaded or last saved; kept by receivers/loaded_state.py.
    # None: not known, because the field was deferred.
    loaded_cover: str | None = None

    class Meta:
        ordering = ["title", "pk"]
        indexes = [models.Index(fields=["-is_featured", "title"], name="library_book_catalogue")]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("library:book", args=[self.slug])

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        super().refresh_from_db(*args, **kwargs)
        self.remember_loaded_state()  # Django fires `post_init` for the copy it loads, not for this object

    def remember_loaded_state(self) -> None:
        # From __dict__: asking the attribute of a deferred field would run a query.
        cover = self.__dict__.get("cover")
        self.loaded_cover = None if cover is None else str(cover)

    @property
    def cover_change(self) -> CoverChange:
        """What saving this object now does to the cover it was loaded with."""
        before = "" if self._state.adding else self.loaded_cover
        after = str(self.__dict__.get("cover") or "")
        if before is None or before == after:
            return CoverChange.KEPT
        if not before:
            return CoverChange.ADDED
        return CoverChange.REPLACED if after else CoverChange.REMOVED

    @property
    def tone(self) -> int:
        """Which of the placeholder's colours stands in for a missing cover: always the same for one book."""
        return crc32(self.slug.encode()) % PLACEHOLDER_TONES


class Profile(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile")
    books_read = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"profile of {self.user}"

    def increment_books_read(self) -> None:
        """One atomic UPDATE: side by side, none is lost. The value of this object is as stale as it was."""
        type(self)._default_manager.filter(pk=self.pk).update(books_read=models.F("books_read") + 1)


class Reading(models.Model):
    """A reader finished a book: once, however often they read it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="readings")
    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="readings")
    read_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-read_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["user", "book"], name="library_reading_once")]

    def __str__(self) -> str:
        return f"{self.user} read {self.book}"


class Recommendation(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recommendations"
    )
    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="recommendations")
    score = models.FloatField()
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-score", "pk"]
        constraints = [models.UniqueConstraint(fields=["user", "book"], name="library_recommendation_once")]

    def __str__(self) -> str:
        return f"{self.book} for {self.user}"


class AuditEntry(models.Model):
    """What happened, to what, by whom. Written by receivers, never changed."""

    idempotency_key = models.CharField(max_length=255, unique=True)
    action = models.CharField(max_length=100, db_index=True)
    subject = models.CharField(max_length=200, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="audit_entries",
    )
    changes = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"
