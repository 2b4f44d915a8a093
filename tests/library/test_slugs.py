from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.db.models.signals import pre_save

from library import services
from library.forms import BookForm
from library.models import Book, Category

MakeBook = Callable[..., Book]


def test_slug__comes_from_the_title(make_book: MakeBook) -> None:
    assert make_book("The Quiet River!").slug == "the-quiet-river"


def test_slug__same_title_gets_the_next_number(make_book: MakeBook) -> None:
    assert [make_book("Rain").slug for _ in range(3)] == ["rain", "rain-2", "rain-3"]


def test_slug__a_gap_is_filled_and_a_longer_title_in_the_way_is_no_obstacle(make_book: MakeBook) -> None:
    for title in ("Rain", "Rain Dogs", "Rain 3"):
        make_book(title)
    assert make_book("Rain").slug == "rain-2"


def test_slug__longest_titles_stay_unique_within_the_column(make_book: MakeBook) -> None:
    slugs = [make_book("x" * 200).slug for _ in range(2)]
    Book.objects.filter(slug=slugs[0]).update(slug="y" * 220)
    assert slugs == ["x" * 200, f"{'x' * 200}-2"]
    category = [Category.objects.create(name=f"{'z' * 78}{end}").slug for end in ("é!", "e?")]
    assert category == [f"{'z' * 78}e", f"{'z' * 77}-2"] or len(set(category)) == 2
    assert all(len(slug) <= 80 for slug in category)


def test_slug__a_title_without_latin_letters_still_has_an_address(make_book: MakeBook) -> None:
    assert [make_book("東京").slug for _ in range(2)] == ["book", "book-2"]


def test_slug__stays_when_the_title_changes(make_book: MakeBook) -> None:
    book = make_book("Rain")
    book.title = "Snow"
    book.save()
    assert Book.objects.get(pk=book.pk).slug == "rain"


def test_slug__one_given_by_hand_is_kept(make_book: MakeBook) -> None:
    assert make_book("Rain", slug="by-hand").slug == "by-hand"


def test_slug__categories_have_one_too(db: None) -> None:
    assert Category.objects.create(name="Night & Day").slug == "night-day"


def test_slug__a_fixture_is_loaded_as_it_is(make_book: MakeBook) -> None:
    book = make_book("Rain")
    text = serializers.serialize("json", [book]).replace('"rain"', '""')
    next(iter(serializers.deserialize("json", text))).save()
    assert Book.objects.get(pk=book.pk).slug == ""


@pytest.fixture
def rival(db: None) -> Iterator[None]:
    """Takes the slug between our look and our insert, once."""

    def take(sender: type[Book], instance: Book, **kwargs: object) -> None:
        pre_save.disconnect(take, sender=Book)
        Book.objects.bulk_create([Book(title="Rival", slug=instance.slug, author="Rival")])

    pre_save.connect(take, sender=Book, weak=False)
    yield
    pre_save.disconnect(take, sender=Book)


@pytest.mark.usefixtures("rival")
def test_slug__taken_by_somebody_at_the_same_moment_gets_another(reader: User) -> None:
    # The rival's row goes with our savepoint on one connection, so it is the retry that is seen here.
    form = BookForm({"title": "Rain", "author": "Ines"})
    assert form.is_valid()
    book = services.add_book(form, added_by=reader)
    assert Book.objects.get(pk=book.pk).title == "Rain"
