from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from library.models import Book, Reading, Recommendation
from tests.workers.people import add_book, add_category, add_reader
from workers import recommend

pytestmark = pytest.mark.django_db


def titles(user_id: int) -> list[str]:
    return [Book.objects.get(pk=s.book_id).title for s in recommend.suggest(user_id)]


def test_suggest__what_readers_of_the_same_book_read_too():
    dune, emma, solaris = (add_book(title) for title in ("Dune", "Emma", "Solaris"))
    add_reader("other", dune, solaris)
    add_reader("stranger", emma)
    reader = add_reader("reader", dune)

    [found] = recommend.suggest(reader.pk)

    assert found.book_id == solaris.pk
    assert found.reason == "Readers of Dune also read it"


def test_suggest__the_reader_is_no_neighbour_of_their_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recommend, "NEIGHBOURS", 1)
    dune, emma, solaris = (add_book(title) for title in ("Dune", "Emma", "Solaris"))
    add_reader("other", dune, solaris)
    reader = add_reader("reader", dune, emma)

    assert titles(reader.pk) == ["Solaris"]


def test_suggest__two_readers_in_common_come_before_one():
    dune, solaris, ubik = (add_book(title) for title in ("Dune", "Solaris", "Ubik"))
    add_reader("one", dune, ubik, solaris)
    add_reader("two", dune, ubik)
    reader = add_reader("reader", dune)

    assert titles(reader.pk) == ["Ubik", "Solaris"]


def test_suggest__a_book_that_everybody_reads_says_less_than_one_that_goes_with_it():
    dune, bestseller, ubik = (add_book(title) for title in ("Dune", "Bestseller", "Ubik"))
    add_reader("one", dune, bestseller, ubik)
    for number in range(5):
        add_reader(f"buyer {number}", bestseller)
    reader = add_reader("reader", dune)

    assert titles(reader.pk) == ["Ubik", "Bestseller"]


def test_suggest__the_score_is_shared_readers_against_readers_of_either():
    dune, ubik = add_book("Dune"), add_book("Ubik")
    add_reader("one", dune, ubik)
    add_reader("two", ubik)
    add_reader("three", ubik)
    add_reader("four", ubik)
    reader = add_reader("reader", dune)

    [found] = recommend.suggest(reader.pk)

    assert found.score == round(1 / (2 * 4) ** 0.5, 4)


def test_suggest__the_reason_names_the_book_that_weighs_most():
    dune, emma, ubik = (add_book(title) for title in ("Dune", "Emma", "Ubik"))
    add_reader("one", dune, ubik)
    add_reader("two", dune, emma, ubik)
    reader = add_reader("reader", emma, dune)

    [found] = recommend.suggest(reader.pk)

    assert found.reason == "Readers of Dune also read it"


def test_suggest__what_others_read_in_the_readers_categories():
    dune, ubik, emma = add_book("Dune", "SF"), add_book("Ubik", "SF"), add_book("Emma", "Classics")
    add_reader("stranger", ubik, emma)
    reader = add_reader("reader", dune)

    [found] = recommend.suggest(reader.pk)

    assert (found.book_id, found.reason) == (ubik.pk, "Much read in SF")


def test_suggest__a_book_nobody_read_yet_is_new_in_its_category():
    dune, ubik = add_book("Dune", "SF"), add_book("Ubik", "SF")
    reader = add_reader("reader", dune)

    [found] = recommend.suggest(reader.pk)

    assert (found.book_id, found.reason) == (ubik.pk, "New in SF")


def test_suggest__the_category_read_more_comes_first():
    read = [add_book("Dune", "SF"), add_book("Ubik", "SF"), add_book("Emma", "Classics")]
    add_book("Persuasion", "Classics")
    add_book("Solaris", "SF")
    reader = add_reader("reader", *read)

    assert titles(reader.pk) == ["Solaris", "Persuasion"]


def test_suggest__another_book_of_an_author_read():
    dune, heretics = add_book("Dune", author="Frank Herbert"), add_book("Heretics", author="Frank Herbert")
    add_book("Emma", author="Jane Austen")
    reader = add_reader("reader", dune)

    [found] = recommend.suggest(reader.pk)

    assert (found.book_id, found.reason) == (heretics.pk, "Also by Frank Herbert")


def test_suggest__books_without_an_author_have_none_in_common():
    dune = add_book("Dune", author="")
    add_book("Emma", author="")
    reader = add_reader("reader", dune)

    assert recommend.suggest(reader.pk) == []


def test_suggest__nothing_the_reader_has_read_even_long_ago(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recommend, "TASTE", 1)
    dune, ubik, solaris = (add_book(title, "SF", author="One") for title in ("Dune", "Ubik", "Solaris"))
    add_reader("other", dune, ubik, solaris)
    reader = add_reader("reader", ubik, dune)

    assert titles(reader.pk) == ["Solaris"]


def test_suggest__nothing_for_one_who_read_nothing():
    dune = add_book("Dune", "SF")
    add_reader("other", dune)
    reader = add_reader("reader")

    assert recommend.suggest(reader.pk) == []


def test_suggest__ten_at_most():
    books = [add_book(f"Book {number}", "SF") for number in range(15)]
    add_reader("other", *books)
    reader = add_reader("reader", books[0])

    assert len(recommend.suggest(reader.pk)) == 10


def test_suggest__as_many_queries_for_many_books_as_for_few(
    django_assert_max_num_queries: DjangoAssertNumQueries,
):
    books = [add_book(f"Book {number}", "SF", author="One") for number in range(20)]
    for number in range(5):
        add_reader(f"other {number}", *books[number : number + 10])
    reader = add_reader("reader", *books[:10])

    with django_assert_max_num_queries(12):
        assert recommend.suggest(reader.pk)


def test_refresh__stores_replaces_and_removes():
    dune, ubik, solaris = (add_book(title) for title in ("Dune", "Ubik", "Solaris"))
    add_reader("other", dune, ubik, solaris)
    reader = add_reader("reader", dune)
    recommend.refresh(reader.pk)
    kept = Recommendation.objects.get(user=reader, book=solaris)

    Reading.objects.create(user=reader, book=ubik)
    recommend.refresh(reader.pk)

    [stored] = Recommendation.objects.filter(user=reader)
    assert stored.pk == kept.pk
    assert stored.score > kept.score
    assert stored.reason.endswith("also read it")


def test_refresh_outdated__writes_nothing_where_nothing_changed(
    django_assert_max_num_queries: DjangoAssertNumQueries,
):
    dune = add_book("Dune")
    add_reader("other", dune, add_book("Ubik"))
    reader = add_reader("reader", dune)
    recommend.refresh(reader.pk)

    with django_assert_max_num_queries(14) as queries:
        recommend.refresh_outdated([reader.pk])

    assert {query["sql"].split()[0] for query in queries.captured_queries} == {"SELECT"}


@pytest.mark.django_db(transaction=True)
def test_refresh__side_by_side_ends_as_one_alone():
    dune, *others = (add_book(title, "SF") for title in ("Dune", "Ubik", "Solaris", "Emma"))
    add_reader("other", dune, *others)
    reader = add_reader("reader", dune)

    def refresh() -> None:
        try:
            for _ in range(5):
                recommend.refresh(reader.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=4) as workers:
        for done in [workers.submit(refresh) for _ in range(4)]:
            done.result()

    assert recommend.stored(reader.pk) == recommend.suggest(reader.pk)
    assert Recommendation.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_refresh__waits_for_another_of_the_same_reader():
    if not connection.features.has_select_for_update:
        pytest.skip("SQLite has one writer: there a refresh waits for every other")
    reader = add_reader("reader")

    def refresh_impatiently() -> None:
        try:
            with connection.cursor() as cursor:
                is_mysql = connection.vendor == "mysql"
                cursor.execute(
                    "SET innodb_lock_wait_timeout = 1" if is_mysql else "SET lock_timeout = '100ms'"
                )
            recommend.refresh(reader.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=1) as other, transaction.atomic():
        recommend.refresh(reader.pk)
        with pytest.raises(OperationalError, match=r"(?i)lock (wait )?timeout"):
            other.submit(refresh_impatiently).result()


def test_refresh__nothing_for_a_reader_who_is_gone():
    reader = add_reader("reader", add_book("Dune", "SF"))
    add_book("Ubik", "SF")
    gone = reader.pk
    reader.delete()

    recommend.refresh(gone)

    assert not Recommendation.objects.exists()


def test_refresh__a_long_title_fits():
    dune, ubik = add_book("D" * 200), add_book("Ubik")
    add_reader("other", dune, ubik)
    reader = add_reader("reader", dune)

    recommend.refresh(reader.pk)

    row = Recommendation.objects.get(user=reader)
    row.full_clean()  # SQLite doesn't hold us to the length, PostgreSQL does


def test_readers_concerned__those_of_the_book_of_the_category_and_those_told_of_the_book():
    dune, ubik, emma = add_book("Dune", "SF"), add_book("Ubik"), add_book("Emma", "Classics")
    of_book, of_category, told = add_reader("a", ubik), add_reader("b", dune), add_reader("c", emma)
    add_reader("not concerned", emma)
    Recommendation.objects.create(user=told, book=ubik, score=1, reason="…")

    concerned = recommend.readers_concerned([ubik.pk], [add_category("SF").pk])

    assert concerned == [told.pk, of_category.pk, of_book.pk]


def test_readers_of_author__each_once():
    books = [add_book(title, author="Frank Herbert") for title in ("Dune", "Heretics")]
    reader = add_reader("reader", *books)
    add_reader("other", add_book("Emma", author="Jane Austen"))

    assert recommend.readers_of_author("Frank Herbert") == [reader.pk]
    assert recommend.readers_of_author("") == []


def test_readers_of_author__who_read_last_come_first_and_no_more_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(recommend, "READERS", 2)
    dune = add_book("Dune", author="Frank Herbert")
    _, second, third = (add_reader(name, dune) for name in ("first", "second", "third"))

    assert recommend.readers_of_author("Frank Herbert") == [third.pk, second.pk]


def test_refresh_outdated__stores_for_those_who_need_it():
    dune, ubik = add_book("Dune"), add_book("Ubik")
    add_reader("other", dune, ubik)
    reader = add_reader("reader", dune)

    recommend.refresh_outdated([reader.pk])

    assert Recommendation.objects.get().user == reader
