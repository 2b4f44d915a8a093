from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from random import Random

from django.db.models import Model
from django.utils.text import slugify

from library.demo import words
from library.demo.progress import Progress
from library.models import Book, Category

BATCH = 500
FEATURED_EVERY = 40  # books


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBook:
    slug: str
    title: str
    author: str
    description: str
    categories: tuple[str, ...]
    is_featured: bool


def planned_books(number: int) -> list[PlannedBook]:
    """The first `number` books of an endless list that is the same on every machine and in every run."""
    return list(islice(_endless_books(), number))


def _endless_books() -> Iterator[PlannedBook]:
    random = Random("books")
    used: set[str] = set()
    for position in count():
        category, title, noun = _new_title(random, used)
        others = random.sample(
            [name for name in words.CATEGORIES if name != category], k=random.choice((0, 0, 1, 2))
        )
        yield PlannedBook(
            slug=slugify(title),
            title=title,
            author=f"{random.choice(words.FIRST_NAMES)} {random.choice(words.LAST_NAMES)}",
            description=random.choice(words.DESCRIPTIONS).format(
                noun=noun.lower(),
                adjective=random.choice(words.ADJECTIVES).lower(),
                place=random.choice(words.PLACES),
            ),
            categories=(category, *others),
            is_featured=position % FEATURED_EVERY == 0,
        )


def _new_title(random: Random, used: set[str]) -> tuple[str, str, str]:
    """A category, a title no book before had, and the noun it is about."""
    for attempt in count(1):
        category = random.choice(list(words.CATEGORIES))
        noun, other = random.sample(words.CATEGORIES[category], k=2)
        title = random.choice(words.PATTERNS).format(
            noun=noun,
            other=other,
            adjective=random.choice(words.ADJECTIVES),
            place=random.choice(words.PLACES),
            season=random.choice(words.SEASONS),
        )
        if attempt > 20:  # thousands of books later the words run out
            title = f"{title}, Volume {len(used) + 1}"
        if slugify(title) not in used:
            used.add(slugify(title))
            return category, title, noun
    raise AssertionError("unreachable")


def add_categories(progress: Progress) -> None:
    have = set(Category.objects.values_list("name", flat=True))
    Category.objects.bulk_create(
        Category(name=name, slug=slugify(name)) for name in words.CATEGORIES if name not in have
    )
    progress.show("categories", len(words.CATEGORIES), len(words.CATEGORIES))


def add_books(number: int, progress: Progress) -> None:
    planned = planned_books(number)
    have = set(Book.objects.values_list("slug", flat=True))
    missing = [plan for plan in planned if plan.slug not in have]
    ids = dict(Category.objects.values_list("name", "pk"))
    done = len(planned) - len(missing)
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        _insert(batch, ids)
        done += len(batch)
        progress.show("books", done, number)
    if not missing:
        progress.show("books", number, number)


def _insert(batch: list[PlannedBook], category_ids: dict[str, int]) -> None:
    books = Book.objects.bulk_create(
        Book(
            title=plan.title,
            slug=plan.slug,
            author=plan.author,
            description=plan.description,
            is_featured=plan.is_featured,
        )
        for plan in batch
    )
    through: type[Model] = Book.categories.through
    through._default_manager.bulk_create(
        through(book_id=book.pk, category_id=category_ids[name])
        for book, plan in zip(books, batch, strict=True)
        for name in plan.categories
    )
