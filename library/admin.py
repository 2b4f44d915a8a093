from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminFileWidget
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from library.covers import CoverField
from library.exceptions import FeaturedBookError
from library.forms import BookForm
from library.models import AuditEntry, Book, Category, Profile, Reading, Recommendation


class BookAdminForm(BookForm):
    """The pages' form, so that what they refuse, the admin refuses too."""

    cover = CoverField(required=False, max_length=80, widget=AdminFileWidget)

    class Meta:
        model = Book
        fields = "__all__"
        error_messages = BookForm.Meta.error_messages


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):
    form = BookAdminForm
    list_display = ["title", "author", "is_featured", "added_by", "created_at"]
    list_filter = ["is_featured", "categories"]
    search_fields = ["title", "author", "slug"]
    filter_horizontal = ["categories"]
    autocomplete_fields = ["added_by"]
    readonly_fields = ["created_at", "updated_at"]
    list_select_related = ["added_by"]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, list[str]]:
        """Names featured books as protected: page and bulk action then say so, and offer no button."""
        to_delete, counts, permissions, protected = super().get_deleted_objects(objs, request)
        refused = [str(FeaturedBookError(book)) for book in objs if book.is_featured]
        return to_delete, counts, permissions, [*protected, *refused]

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().delete_view(request, *args, **kwargs)
        except FeaturedBookError as refusal:  # featured after the page was checked
            messages.error(request, str(refusal))
            return redirect("admin:library_book_changelist")


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ["name", "slug"]
    search_fields = ["name"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Profile)
class ProfileAdmin(admin.ModelAdmin):
    list_display = ["user", "books_read"]
    search_fields = ["user__username"]
    readonly_fields = ["books_read"]
    autocomplete_fields = ["user"]
    list_select_related = ["user"]


class ReaderAndBookAdmin(admin.ModelAdmin):
    search_fields = ["user__username", "book__title"]
    autocomplete_fields = ["user", "book"]
    list_select_related = ["user", "book"]


@admin.register(Reading)
class ReadingAdmin(ReaderAndBookAdmin):
    list_display = ["user", "book", "read_at"]
    date_hierarchy = "read_at"


@admin.register(Recommendation)
class RecommendationAdmin(ReaderAndBookAdmin):
    list_display = ["user", "book", "score", "reason", "created_at"]


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):
    """To be read: an entry that could be edited would prove nothing."""

    list_display = ["at", "action", "subject", "actor"]
    list_filter = ["action"]
    search_fields = ["subject", "actor__username", "idempotency_key"]
    date_hierarchy = "at"
    list_select_related = ["actor"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False
