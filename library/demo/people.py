from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db.models import Count, F

from library.demo import words
from library.demo.progress import Progress
from library.demo.shelves import PlannedBook, planned_books
from library.models import Book, Profile, Reading
from library.receivers.groups import STUDENTS

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 330
BATCH = 2000


def username(position: int) -> str:
    return f"reader{position + 1:02d}"


def add_readers(number: int, progress: Progress) -> None:
    """Readers to look at, not to log in as: their passwords are unusable."""
    users = get_user_model()
    random = Random("readers")
    names = [(random.choice(words.FIRST_NAMES), random.choice(words.LAST_NAMES)) for _ in range(number)]
    have = set(users.objects.values_list("username", flat=True))
    made = users.objects.bulk_create(
        users(
            username=username(position),
            first_name=first,
            last_name=last,
            email=f"{username(position)}@example.org",
            password=make_password(None),
        )
        for position, (first, last) in enumerate(names)
        if username(position) not in have
    )
    # Bulk inserts send no signals, so what receivers do for a new reader is done here.
    Profile.objects.bulk_create(Profile(user=user) for user in made)
    group, _ = Group.objects.get_or_create(name=STUDENTS)
    group.user_set.add(*made)
    progress.show("readers", number, number)


def add_readings(books: int, readers: int, progress: Progress) -> None:
    """Readers have favourite categories, so that there is something to recommend from."""
    planned = planned_books(books)
    book_ids = dict(Book.objects.filter(slug__in=[plan.slug for plan in planned]).values_list("slug", "pk"))
    users = get_user_model().objects.filter(username__in=[username(position) for position in range(readers)])
    have = set(Reading.objects.filter(user__in=users).values_list("user_id", "book_id"))
    missing = [
        Reading(user=user, book_id=book_ids[slug], read_at=read_at)
        for user in users.order_by("username")
        for slug, read_at in planned_readings(user.username, planned)
        if (user.pk, book_ids[slug]) not in have
    ]
    total = len(have) + len(missing)
    for start in range(0, len(missing), BATCH):
        Reading.objects.bulk_create(missing[start : start + BATCH])
        progress.show("readings", min(len(have) + start + BATCH, total), total)
    if not missing:
        progress.show("readings", total, total)
    count_books_read()


def planned_readings(reader: str, planned: list[PlannedBook]) -> list[tuple[str, datetime]]:
    random = Random(reader)
    favourites = set(random.sample(list(words.CATEGORIES), k=2))
    favoured = [plan.slug for plan in planned if favourites & set(plan.categories)]
    others = [plan.slug for plan in planned if not favourites & set(plan.categories)]
    chosen = random.sample(favoured, k=min(len(favoured), random.randint(6, 18)))
    chosen += random.sample(others, k=min(len(others), random.randint(1, 6)))
    return [(slug, FIRST_DAY + timedelta(minutes=random.randrange(DAYS * 24 * 60))) for slug in chosen]


def count_books_read() -> None:
    wrong = Profile.objects.annotate(read=Count("user__readings")).exclude(read=F("books_read"))
    profiles = list(wrong)
    for profile in profiles:
        profile.books_read = profile.read
    Profile.objects.bulk_update(profiles, ["books_read"], batch_size=500)
