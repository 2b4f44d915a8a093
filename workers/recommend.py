"""Which books to suggest to a reader, and why: from what others read, by a few bounded queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from math import sqrt

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import Count, F, Max, Q

from library.models import Book, Category, Reading, Recommendation

LIMIT = 10  # recommendations kept for a reader
TASTE = 30  # of a reader's books, the latest that count
NEIGHBOURS = 25  # of the others who read those, the ones that share most
PAIRS = 200  # of the books they read together with those, the most often met
FAVOURITES = 3  # of the categories a reader reads in, those most read
CANDIDATES = 60  # of the books in those categories, the most read; of those authors, the newest
READERS = 10  # whose recommendations one change of a book computes anew (25 ms each): those who read last

# What readers have in common counts most; the same category or author alone, less.
CATEGORY_WEIGHT = 0.3
AUTHOR_WEIGHT = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    book_id: int
    score: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """Of one reader: the books read, and of them the latest, which count."""

    user_id: int
    read: frozenset[int]
    latest: list[int]


Found = tuple[int, float, str]  # book id, score, reason


def refresh(user_id: int) -> None:
    """Store the reader's recommendations as they are now: whoever comes last has seen the latest readings."""
    with transaction.atomic():
        # The reader's row is the lock: two workers would each store a half. None: deleted, nothing to do.
        # MySQL locks the key too, and with it whoever writes a row that refers to the reader.
        no_key = connection.features.has_select_for_no_key_update
        users = get_user_model()._default_manager.select_for_update(no_key=no_key)
        if users.filter(pk=user_id).first() is not None:
            store(user_id, suggest(user_id))


def refresh_outdated(user_ids: Iterable[int]) -> None:
    """The same for many, each in a transaction of its own; those that would not change are not locked."""
    for user_id in user_ids:
        known = stored(user_id)
        if not known or suggest(user_id) != known:
            refresh(user_id)


def stored(user_id: int) -> list[Suggestion]:
    rows = Recommendation.objects.filter(user=user_id).order_by("-score", "book_id")
    return [Suggestion(book_id=row.book_id, score=row.score, reason=row.reason) for row in rows]


def store(user_id: int, suggestions: Collection[Suggestion]) -> None:
    Recommendation.objects.filter(user=user_id).exclude(book__in=[s.book_id for s in suggestions]).delete()
    rows = [
        Recommendation(user_id=user_id, book_id=s.book_id, score=s.score, reason=s.reason)
        for s in suggestions
    ]
    # MySQL names no constraint: there any that is violated is meant.
    named = connection.features.supports_update_conflicts_with_target
    Recommendation.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["user", "book"] if named else None,
        update_fields=["score", "reason"],
    )


def suggest(user_id: int, limit: int = LIMIT) -> list[Suggestion]:
    """The best first, none that the reader has read; the reason given is the one that weighs most."""
    reasons: dict[int, list[tuple[float, str]]] = defaultdict(list)
    taste = taste_of(user_id)
    for source in (read_together, same_categories, same_author):
        for book_id, score, reason in source(taste):
            reasons[book_id].append((score, reason))
    suggestions = [
        Suggestion(book_id=book_id, score=round(sum(score for score, _ in found), 4), reason=max(found)[1])
        for book_id, found in reasons.items()
    ]
    return sorted(suggestions, key=lambda s: (-s.score, s.book_id))[:limit]


def taste_of(user_id: int) -> Taste:
    read = list(
        Reading.objects.filter(user=user_id).order_by("-read_at", "-pk").values_list("book", flat=True)
    )
    return Taste(user_id=user_id, read=frozenset(read), latest=read[:TASTE])


def read_together(taste: Taste) -> Iterator[Found]:
    """Books that readers of this reader's books read too: how many read both, against how many either."""
    shared_with = Reading.objects.filter(book__in=taste.latest).exclude(user=taste.user_id)
    neighbours = shared_with.values("user").annotate(shared=Count("pk")).order_by("-shared", "-user")
    pairs = list(
        Reading.objects.filter(book__in=taste.latest, user__in=[n["user"] for n in neighbours[:NEIGHBOURS]])
        .annotate(candidate=F("user__readings__book"))
        .exclude(candidate__in=taste.read)
        .values_list("book", "candidate")
        .annotate(shared=Count("pk"))
        .order_by("-shared", "candidate", "book")[:PAIRS]
    )
    readers = count_readers({book for pair in pairs for book in pair[:2]})
    titles = dict(Book.objects.filter(pk__in=taste.latest).values_list("pk", "title"))
    for book, candidate, shared in pairs:
        score = shared / sqrt(readers[book] * readers[candidate])
        yield candidate, score, f"Readers of {short(titles[book])} also read it"


def same_categories(taste: Taste) -> Iterator[Found]:
    """Books in the reader's favourite categories, by how much this reader and others read there."""
    sorted_books = Book.categories.through.objects
    times = sorted_books.filter(book__in=taste.latest).values_list("category").annotate(times=Count("pk"))
    favourites = dict(times.order_by("-times", "category")[:FAVOURITES])
    names = dict(Category.objects.filter(pk__in=favourites).values_list("pk", "name"))
    candidates = list(
        sorted_books.filter(category__in=favourites)
        .exclude(book__in=taste.read)
        .values_list("book", "category")
        .annotate(readers=Count("book__readings"))
        .order_by("-readers", "-book")[:CANDIDATES]
    )
    most = max((readers for _, _, readers in candidates), default=0)
    for book, category, readers in candidates:
        share = favourites[category] / len(taste.latest)
        reason = f"{'Much read' if readers else 'New'} in {short(names[category])}"
        yield book, CATEGORY_WEIGHT * share * (1 + readers) / (1 + most), reason


def same_author(taste: Taste) -> Iterator[Found]:
    """Other books of the authors the reader read."""
    authors = Book.objects.filter(pk__in=taste.latest).exclude(author="").values_list("author")
    times = dict(authors.annotate(Count("pk")).order_by())
    candidates = Book.objects.filter(author__in=times).exclude(pk__in=taste.read)
    for book, author in candidates.order_by("-pk").values_list("pk", "author")[:CANDIDATES]:
        yield book, AUTHOR_WEIGHT * times[author] / len(taste.latest), f"Also by {short(author)}"


def count_readers(books: Collection[int]) -> dict[int, int]:
    return dict(Reading.objects.filter(book__in=books).values_list("book").annotate(Count("pk")).order_by())


def readers_of_author(author: str) -> list[int]:
    """Those who read a book of that author, who read last first."""
    return last_readers(Q(book__author=author)) if author else []


def readers_concerned(books: Collection[int], categories: Collection[int]) -> list[int]:
    """Those whose recommendations may change when these books enter or leave these categories."""
    # A clear doesn't say which categories it emptied, but those who were told of the book are known.
    told = Recommendation.objects.filter(book__in=books).order_by("-pk").values_list("user", flat=True)
    return list(
        dict.fromkeys(
            [*told[:READERS], *last_readers(Q(book__in=books) | Q(book__categories__in=categories))]
        )
    )


def last_readers(condition: Q) -> list[int]:
    last = Reading.objects.filter(condition).values("user").annotate(last=Max("read_at"))
    return [row["user"] for row in last.order_by("-last", "-user")[:READERS]]


def short(name: str) -> str:
    """So that a reason fits its column."""
    return name if len(name) <= 120 else f"{name[:119]}…"
