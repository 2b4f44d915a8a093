from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from events import Skip
from events.serializers import RequestInfo
from library.models import AuditEntry, Book, Category
from tests.workers.occurrences import occurrence
from tests.workers.people import add_book, add_category, add_reader
from workers import audit

pytestmark = pytest.mark.django_db
through = Book.categories.through


def entry() -> AuditEntry:
    return AuditEntry.objects.get()


def test_write_entry__the_same_delivery_again_adds_none():
    event = occurrence("one key")

    audit.write_entry(event, "book.created")
    audit.write_entry(event, "book.created")

    assert entry().idempotency_key == "one key"


def test_write_entry__is_dated_when_it_happened():
    event = occurrence()

    audit.write_entry(event, "book.created")

    assert entry().at == event.time


def test_record_saved_book__an_added_one_with_who_added_it_and_what_it_holds():
    ada = add_reader("ada")
    book = Book(
        pk=1, title="Dune", slug="dune", author="Frank Herbert", added_by_id=ada.pk, cover="covers/d.png"
    )

    audit.record_saved_book(Book, instance=book, created=True, event=occurrence())

    assert (entry().action, entry().actor, entry().subject) == ("book.created", ada, "library.book/1")
    assert entry().changes["title"] == {"after": "Dune"}
    assert entry().changes["cover"] == {"after": "covers/d.png"}
    assert entry().changes["is_featured"] == {"after": False}


def test_record_saved_book__stands_without_an_account_that_is_gone():
    book = Book(pk=1, title="Dune", slug="dune", added_by_id=1000)

    audit.record_saved_book(Book, instance=book, created=True, event=occurrence())

    assert entry().actor is None


def test_record_saved_book__an_edited_one_with_what_changed():
    changes = {"title": ("Dun", "Dune"), "author": ("X", "X"), "is_featured": (False, True)}

    audit.record_saved_book(Book, instance=Book(pk=1), created=False, event=occurrence(changes=changes))

    assert entry().action == "book.updated"
    assert entry().changes == {
        "title": {"before": "Dun", "after": "Dune"},
        "is_featured": {"before": False, "after": True},
    }


def test_record_saved_book__saved_without_a_change_is_skipped():
    with pytest.raises(Skip, match="no tracked field changed"):
        audit.record_saved_book(Book, instance=Book(pk=1), created=False, event=occurrence())


def test_record_deleted_book__with_what_it_held():
    book = Book(pk=1, title="Dune", slug="dune", author="Frank Herbert")

    audit.record_deleted_book(Book, instance=book, event=occurrence())

    assert entry().action == "book.deleted"
    assert entry().changes["author"] == {"before": "Frank Herbert"}


@pytest.mark.parametrize(("action", "verb"), [("post_add", "added"), ("post_remove", "removed")])
def test_record_changed_categories__names_them(action: str, verb: str):
    pks = {add_category(name).pk for name in ("SF", "Classics")}

    audit.record_changed_categories(
        through, action=action, model=Category, pk_set=pks, event=occurrence(), reverse=False
    )

    assert entry().action == f"book.categories_{verb}"
    assert entry().changes == {"categories": {verb: ["Classics", "SF"]}}


def test_record_changed_categories__cleared_means_all():
    audit.record_changed_categories(
        through, action="post_clear", model=Category, pk_set=None, event=occurrence(), reverse=False
    )

    assert entry().action == "book.categories_cleared"
    assert entry().changes == {"categories": {"cleared": "all"}}


def test_record_changed_categories__from_the_category_names_the_books():
    pks = {add_book("Dune").pk}

    audit.record_changed_categories(
        through, action="post_add", model=Book, pk_set=pks, event=occurrence(), reverse=True
    )

    assert entry().action == "category.books_added"
    assert entry().changes == {"books": {"added": ["Dune"]}}


@pytest.mark.parametrize(("pk_set", "expected"), [({1}, True), (None, True), (set(), False)])
def test_touches_rows__not_for_what_was_there_already(pk_set: set[int] | None, expected: bool):
    assert audit.touches_rows(through, pk_set=pk_set) is expected


def test_record_registration__names_the_reader():
    ada = add_reader("ada")

    audit.record_registration(User, user=ada, event=occurrence())

    assert (entry().action, entry().actor) == ("user.registered", ada)


def test_record_registration__stands_without_an_account_that_is_gone():
    audit.record_registration(User, user=None, event=occurrence())

    assert (entry().action, entry().actor) == ("user.registered", None)


def test_record_login__names_the_reader():
    ada = add_reader("ada")

    audit.record_login(User, user=ada, event=occurrence())

    assert (entry().action, entry().actor) == ("user.logged_in", ada)


@pytest.mark.parametrize("request_", [None, RequestInfo(method="POST", route="login/")])
def test_record_failed_login__names_the_account_that_exists(request_: RequestInfo | None):
    ada = add_reader("ada")

    audit.record_failed_login(
        "django.contrib.auth", credentials={"username": "ada"}, request=request_, event=occurrence()
    )

    assert (entry().action, entry().subject) == ("user.login_failed", f"auth.user/{ada.pk}")
    assert entry().actor is None  # who tried is not known


def test_record_failed_login__a_name_that_no_account_has_is_not_kept():
    audit.record_failed_login(
        "django.contrib.auth",
        credentials={"username": "the password in the wrong box"},
        request=RequestInfo(method="POST", route="login/"),
        event=occurrence(subject=""),
    )

    assert (entry().subject, entry().changes) == ("", {"route": "login/"})


def test_record_failed_login__without_credentials_which_the_bus_withholds():
    audit.record_failed_login("django.contrib.auth", event=occurrence(subject=""))

    assert (entry().action, entry().subject) == ("user.login_failed", "")
