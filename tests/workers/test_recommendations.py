from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from library.models import Book, Category, Profile, Recommendation
from tests.workers.people import add_book, add_category, add_reader
from workers import recommendations

pytestmark = pytest.mark.django_db
through = Book.categories.through


def told(user: User) -> set[str]:
    return set(Recommendation.objects.filter(user=user).values_list("book__title", flat=True))


def test_count_read_book__adds_one():
    dune = add_book("Dune")
    reader = add_reader("reader", dune)

    recommendations.count_read_book(Book, user=reader, book=dune)

    assert Profile.objects.get(user=reader).books_read == 1


def test_count_read_book__a_user_from_before_there_were_profiles_gets_one():
    dune = add_book("Dune")
    reader = add_reader("reader", dune)
    Profile.objects.filter(user=reader).delete()

    recommendations.count_read_book(Book, user=User.objects.get(pk=reader.pk), book=dune)

    assert Profile.objects.get(user=reader).books_read == 1


def test_recommend_after_reading__for_the_reader_who_read():
    dune, ubik = add_book("Dune"), add_book("Ubik")
    other, reader = add_reader("other", dune, ubik), add_reader("reader", dune)

    recommendations.recommend_after_reading(Book, user=reader, book=dune)

    assert told(reader) == {"Ubik"}
    assert told(other) == set()


def test_recommend_new_book__to_those_who_read_its_author():
    fan = add_reader("fan", add_book("Dune", author="Frank Herbert"))
    other = add_reader("other", add_book("Emma", author="Jane Austen"))
    heretics = add_book("Heretics", author="Frank Herbert")

    recommendations.recommend_new_book(Book, instance=heretics, created=True)

    assert told(fan) == {"Heretics"}
    assert told(other) == set()


def test_recommend_after_sorting__a_book_put_into_a_category_that_one_reads():
    reader, ubik = add_reader("reader", add_book("Dune", "SF")), add_book("Ubik", "SF")
    pks = {add_category("SF").pk}

    recommendations.recommend_after_sorting(
        through, instance=ubik, model=Category, pk_set=pks, action="post_add"
    )

    assert told(reader) == {"Ubik"}


def test_recommend_after_sorting__from_the_categorys_side():
    for number in range(5):
        add_category(f"Empty {number}")  # no category has the key of a book
    reader, ubik = add_reader("reader", add_book("Dune", "SF")), add_book("Ubik", "SF")

    recommendations.recommend_after_sorting(
        through, instance=add_category("SF"), model=Book, pk_set={ubik.pk}, action="post_add"
    )

    assert told(reader) == {"Ubik"}


def test_recommend_after_sorting__a_book_taken_out_of_all_categories_is_no_longer_recommended():
    reader, ubik = add_reader("reader", add_book("Dune", "SF")), add_book("Ubik")
    Recommendation.objects.create(user=reader, book=ubik, score=1, reason="New in SF")

    recommendations.recommend_after_sorting(
        through, instance=ubik, model=Category, pk_set=None, action="post_clear"
    )

    assert told(reader) == set()
