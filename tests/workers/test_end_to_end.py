"""Each effect through the whole bus: signal, outbox, envelope, consumer, receiver."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client
from django.urls import reverse

from events.models import Delivery, EventRecord
from events.testing import captured_events, drain, make_due
from library import services
from library.models import AuditEntry, Book, Profile, Recommendation
from library.signals import request_failed, slow_request
from tests.workers.conftest import StrictSink
from tests.workers.people import add_book, add_category, add_reader
from workers.models import Alert

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"


def work() -> None:
    """All deliveries that are due, and those they cause; none of them fails."""
    done = drain()
    assert (done.retrying, done.dead) == (0, 0), list(
        Delivery.objects.exclude(error="").values("receiver", "error")
    )


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def registration(username: str = "ada") -> dict[str, str]:
    return {
        "username": username,
        "email": f"{username}@example.org",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }


# --- emails -----------------------------------------------------------------------------------------------


def test_registering__one_welcome_mail_and_one_audit_entry(client: Client, sink: StrictSink):
    with captured_events() as events:
        client.post(reverse("library:register"), registration())
    events.assert_emitted("library.user_registered", times=1)
    work()
    work()

    [mail] = sink.to("ada@example.org")
    assert "Welcome, ada" in mail.body("plain")
    assert "Welcome, ada" in mail.body("html")
    assert actions() == ["user.registered"]
    assert AuditEntry.objects.get().actor == User.objects.get(username="ada")


def test_registering__a_mail_tried_again_has_the_same_message_id(client: Client, sink: StrictSink):
    sink.to_message = "451 The disk is full, try later"
    with captured_events():
        client.post(reverse("library:register"), registration())
    assert drain().retrying == 1

    sink.to_message = "250 OK"
    assert make_due() == 1
    work()

    first, second = sink.to("ada@example.org")
    assert first.message_id == second.message_id


def test_registering__an_address_refused_for_good_is_a_dead_letter_at_once(client: Client, sink: StrictSink):
    sink.to_recipient = "550 No such user"
    with captured_events():
        client.post(reverse("library:register"), registration())

    assert drain().dead == 1
    assert "No such user" in Delivery.objects.get(state="dead").error


def test_a_user_without_an_address_is_not_mailed():
    with captured_events() as events:
        User.objects.create_user("ada")

    events.assert_emitted("auth.user.created", times=0)


# --- audit ------------------------------------------------------------------------------------------------


def test_editing_a_book__what_changed_is_in_the_audit_entry():
    book = add_book("Dun", author="Frank Herbert")
    with captured_events():
        book = Book.objects.get(pk=book.pk)
        book.title = "Dune"
        book.save()
    work()

    entry = AuditEntry.objects.get(action="book.updated")
    assert entry.changes == {"title": {"before": "Dun", "after": "Dune"}}
    assert entry.subject == f"library.book/{book.pk}"


def test_a_books_life__is_written_down_in_order():
    with captured_events():
        book = add_book("Dune", "SF")
        book.categories.set([])
        book.categories.add(add_category("Classics"))
        book.categories.clear()
        book.delete()
    work()

    assert sorted(actions()) == sorted(
        [
            "book.created",
            "book.categories_added",
            "book.categories_removed",
            "book.categories_added",
            "book.categories_cleared",
            "book.deleted",
        ]
    )


def test_logging_in__and_failing_to_are_written_down_without_the_password(client: Client):
    User.objects.create_user("ada", password=PASSWORD)
    with captured_events():
        client.post(reverse("login"), {"username": "ada", "password": f"{PASSWORD} mistyped"})
        client.post(reverse("login"), {"username": PASSWORD, "password": PASSWORD})
        client.post(reverse("login"), {"username": "ada", "password": PASSWORD})
    work()

    assert actions() == ["user.login_failed", "user.login_failed", "user.logged_in"]
    stored = [*EventRecord.objects.values(), *AuditEntry.objects.values(), *Delivery.objects.values()]
    assert PASSWORD not in str(stored)


# --- recommendations --------------------------------------------------------------------------------------


def test_reading_a_book__is_counted_once_and_recommends():
    dune, ubik = add_book("Dune"), add_book("Ubik")
    add_reader("other", dune, ubik)
    reader = add_reader("reader")
    with captured_events() as events:
        services.read_book(reader, dune)
        services.read_book(reader, dune)
    events.assert_emitted("library.book_read", times=1, book=dune)
    work()
    work()

    assert Profile.objects.get(user=reader).books_read == 1
    recommendation = Recommendation.objects.get(user=reader)
    assert (recommendation.book, recommendation.reason) == (ubik, "Readers of Dune also read it")


def test_sorting_a_book__is_recommended_to_who_reads_in_that_category():
    reader = add_reader("reader", add_book("Dune", "SF"))
    with captured_events():
        add_book("Ubik", "SF")
    work()

    assert Recommendation.objects.get(user=reader).book.title == "Ubik"


# --- files ------------------------------------------------------------------------------------------------


def covered(title: str = "Dune", name: str = "dune.png") -> tuple[Book, Path]:
    book = add_book(title)
    book.cover.save(name, ContentFile(b"picture"))
    return Book.objects.get(pk=book.pk), Path(book.cover.path)


def change(book: Book, how: str) -> None:
    if how == "delete":
        book.delete()
    elif how == "replace":
        book.cover.save("new.png", ContentFile(b"new picture"))
    elif how == "clear":
        book.cover = ""
        book.save()


@transaction.atomic
def change_and_fail(book: Book, how: str) -> None:
    change(book, how)
    raise ZeroDivisionError


def test_deleting_a_book__removes_its_cover_after_the_commit(media: Path):
    book, file = covered()
    with captured_events():
        book.delete()
    assert file.exists()
    work()

    assert not file.exists()


def test_replacing_a_cover__removes_the_file_of_before(media: Path):
    book, file = covered()
    with captured_events():
        change(book, "replace")
    work()

    assert not file.exists()
    assert Path(book.cover.path).read_bytes() == b"new picture"


def test_clearing_a_cover__removes_the_file(media: Path):
    book, file = covered()
    with captured_events():
        change(book, "clear")
    work()

    assert not file.exists()


def test_deleting_a_book_loaded_in_part__does_no_harm(media: Path):
    book, file = covered()
    with captured_events():
        Book.objects.only("title").get(pk=book.pk).delete()
    work()

    assert file.exists()  # its name was not known
    assert AuditEntry.objects.get(action="book.deleted").changes == {"title": {"before": "Dune"}}


def test_editing_the_title__leaves_the_cover(media: Path):
    book, file = covered()
    with captured_events():
        book.title = "Dune Messiah"
        book.save()
    work()

    assert file.exists()


@pytest.mark.parametrize("how", ["delete", "replace", "clear"])
def test_a_cover_that_another_book_uses__stays(media: Path, how: str):
    book, file = covered()
    add_book("Dune, second edition", cover=book.cover.name)
    with captured_events():
        change(book, how)
    work()

    assert file.exists()


def test_a_cover_written_again_since__stays(media: Path):
    book, file = covered()
    with captured_events():
        book.delete()
    file.unlink()
    assert (
        default_storage.save("covers/dune.png", ContentFile(b"of an upload not yet committed"))
        == "covers/dune.png"
    )
    work()

    assert file.read_bytes() == b"of an upload not yet committed"


@pytest.mark.parametrize("how", ["delete", "replace", "clear"])
def test_a_transaction_rolled_back__leaves_the_cover(media: Path, how: str):
    book, file = covered()
    with captured_events() as events, pytest.raises(ZeroDivisionError):
        change_and_fail(book, how)
    events.assert_emitted("library.book.deleted", times=0)
    events.assert_emitted("library.book.updated", times=0)
    work()

    assert file.exists()


# --- alerts -----------------------------------------------------------------------------------------------


def fail(message: str = "division by zero") -> None:
    request_failed.send(
        sender=ZeroDivisionError,
        exception="builtins.ZeroDivisionError",
        message=message,
        traceback="Traceback (most recent call last): …",
        route="book/<slug:slug>/",
        method="GET",
        fingerprint="f" * 64,
    )


def test_failing_requests__one_mail_for_many_of_one_kind(sink: StrictSink):
    for _ in range(2):
        with captured_events():
            for number in range(3):
                fail(f"another id {number}")
        work()

    assert sum(Alert.objects.values_list("count", flat=True)) == 6
    assert len(sink.mails) == Alert.objects.count()  # one, unless the hour changed meanwhile
    assert "ZeroDivisionError" in sink.mails[0].subject


def test_a_slow_request__is_written_down():
    with captured_events():
        slow_request.send(sender=None, method="GET", route="shelf/", milliseconds=2500.0, status=200)
    work()

    entry = AuditEntry.objects.get(action="request.slow")
    assert (entry.subject, entry.changes) == ("GET /shelf/", {"milliseconds": 2500, "status": 200})
