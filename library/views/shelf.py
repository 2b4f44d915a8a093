from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from library import services
from library.conf import library_settings
from library.errands import tell
from library.models import Book, Profile, Reading, Recommendation

RECOMMENDATIONS_SHOWN = 6


@require_POST
def read(request: HttpRequest, slug: str) -> HttpResponse:
    book = get_object_or_404(Book, slug=slug)
    if not request.user.is_authenticated:
        # To the book's page after logging in: this address takes no GET.
        return redirect_to_login(book.get_absolute_url())
    if services.read_book(request.user, book):
        tell(request, f"“{book.title}” is on your shelf.")
    else:
        messages.info(request, f"“{book.title}” was on your shelf already.")
    return redirect(book)


@require_safe
@non_atomic_requests
@login_required
def shelf(request: HttpRequest) -> HttpResponse:
    read_ids = Reading.objects.filter(user=request.user).values("book_id")
    recommended = Recommendation.objects.filter(user=request.user).exclude(book_id__in=read_ids)
    readings = Reading.objects.filter(user=request.user).select_related("book")
    paginator = Paginator(readings, library_settings().books_per_page)
    context = {
        "profile": Profile.objects.filter(user=request.user).first(),
        "recommendations": recommended.select_related("book")[:RECOMMENDATIONS_SHOWN],
        "page": paginator.get_page(request.GET.get("page")),
    }
    return render(request, "library/shelf.html", context)
