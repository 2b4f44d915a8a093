from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import require_http_methods

from library import services
from library.errands import tell
from library.exceptions import FeaturedBookError
from library.forms import BookForm
from library.models import Book, CoverChange
from library.views.atomic import atomic_when_writing

form_methods = require_http_methods(["GET", "HEAD", "POST"])

SAVED = {
    CoverChange.KEPT: "Saved.",
    CoverChange.ADDED: "Saved, with its new cover.",
    CoverChange.REPLACED: "Saved, and the cover replaced.",
    CoverChange.REMOVED: "Saved, and the cover removed.",
}


@form_methods
@atomic_when_writing
@login_required
def add(request: HttpRequest) -> HttpResponse:
    form = BookForm(*posted(request))
    if request.method == "POST" and form.is_valid():
        book = services.add_book(form, added_by=request.user)
        tell(request, f"“{book.title}” is in the catalogue now.")
        return redirect(book)
    return show_form(request, form, book=None)


@form_methods
@atomic_when_writing
@login_required
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    book = get_object_or_404(Book, slug=slug)
    if not services.may_edit(request.user, book):
        raise PermissionDenied("Only who added a book, and teachers, may edit it.")
    form = BookForm(*posted(request), instance=book)
    if request.method == "POST" and form.is_valid():
        tell(request, SAVED[services.edit_book(form)])
        return redirect(book)
    # From the database: the form has written what was typed, valid or not, into the book it was given.
    return show_form(request, form, book=Book.objects.get(pk=book.pk))


def posted(request: HttpRequest) -> tuple[QueryDict, MultiValueDict[str, UploadedFile]] | tuple[None, None]:
    # Not `request.POST or None`: an empty POST is a form with everything missing, not one to be shown anew.
    return (request.POST, request.FILES) if request.method == "POST" else (None, None)


def show_form(request: HttpRequest, form: BookForm, book: Book | None) -> HttpResponse:
    status = 422 if form.errors else 200
    return render(request, "library/book_form.html", {"form": form, "book": book}, status=status)


@form_methods
@atomic_when_writing
@login_required
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    book = get_object_or_404(Book, slug=slug)
    if not services.may_delete(request.user, book):
        raise PermissionDenied("Only who added a book, and teachers, may delete it.")
    if request.method != "POST":
        refusal = FeaturedBookError(book) if book.is_featured else None
        return render(request, "library/book_delete.html", {"book": book, "refusal": refusal})
    try:
        services.delete_book(book)
    except FeaturedBookError as refusal:
        return render(request, "library/book_delete.html", {"book": book, "refusal": refusal}, status=409)
    tell(request, f"“{book.title}” has left the catalogue.")
    return redirect("library:catalogue")
