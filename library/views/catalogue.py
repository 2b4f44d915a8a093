from __future__ import annotations

from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from library.conf import library_settings
from library.forms import SearchForm
from library.models import Book, Category
from library.services import may_delete, may_edit


@require_safe
@non_atomic_requests
def catalogue(request: HttpRequest) -> HttpResponse:
    form = SearchForm(request.GET)
    form.is_valid()  # an invalid field is left out, and the page says why
    words: str = form.cleaned_data.get("q", "")
    slug: str = form.cleaned_data.get("category", "")
    category = Category.objects.filter(slug=slug).first() if slug else None
    paginator = Paginator(find_books(words, category), library_settings().books_per_page)
    context = {
        "form": form,
        "words": words,
        "category": category,
        "categories": Category.objects.annotate(size=Count("books")).filter(size__gt=0),
        "page": paginator.get_page(request.GET.get("page")),
    }
    return render(request, "library/catalogue.html", context)


def find_books(words: str, category: Category | None) -> QuerySet[Book]:
    """Books that hold every word in title, author or description; featured ones first."""
    books = Book.objects.defer("description").order_by("-is_featured", "title", "pk")
    for word in words.split():
        books = books.filter(
            Q(title__icontains=word) | Q(author__icontains=word) | Q(description__icontains=word)
        )
    return books.filter(categories=category) if category else books


@require_safe
@non_atomic_requests
def book(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(
        Book.objects.select_related("added_by").prefetch_related("categories"), slug=slug
    )
    user = request.user
    context = {
        "book": found,
        "readers": found.readings.count(),
        "has_read": user.is_authenticated and found.readings.filter(user=user).exists(),
        "may_edit": user.is_authenticated and may_edit(user, found),
        "may_delete": user.is_authenticated and may_delete(user, found),
    }
    return render(request, "library/book.html", context)
