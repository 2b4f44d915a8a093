from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property

View = Callable[..., HttpResponse]

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    BasePaginator = Paginator[Any]
else:
    # Neither can be subscripted at run time.
    ModelAdmin = admin.ModelAdmin
    BasePaginator = Paginator


class CappedPaginator(BasePaginator):
    """Counts no further than a person turns pages: a whole count of a large table takes seconds."""

    most = 10_000

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Model]", self.object_list)
        return rows[: self.most].count()


class ReasonForm(ActionForm):
    why = forms.CharField(required=False, max_length=2_000, label="Why:")


def reason(request: HttpRequest) -> str:
    """What the form above brought."""
    return request.POST.get("why", "").strip()[:2_000]


class ReadOnlyAdmin(ModelAdmin):
    """The bus writes these rows; a person looks at them, and acts on them by actions alone."""

    paginator = CappedPaginator
    show_full_result_count = False
    # Sorting a large table by a column without an index would hold up the database.
    sortable_by: ClassVar[tuple[str, ...]] = ()
    list_per_page = 50
    list_max_show_all = 200

    class Media:
        css: ClassVar = {"all": ["events/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def reading(self, view: View) -> View:
        """An admin's view that writes nothing, and may wait for a broker: not with SQLite's one lock in hand."""
        return transaction.non_atomic_requests(self.admin_site.admin_view(view))

    def record(self, request: HttpRequest, rows: QuerySet[Any], done: str) -> None:
        """Who did what, on each row's own history page."""
        user = cast("int", request.user.pk)
        LogEntry.objects.log_actions(user, rows, CHANGE, change_message=f"{done.capitalize()}.")
