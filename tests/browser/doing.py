"""What a library does in a minute, for the pages to show."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from events.models import Delivery, Minute, State
from library.models import Book
from library.signals import book_read
from tests.processes.conftest import wait_for


def busy_library(readers: int = 5, books: int = 8) -> None:
    """Readers register, books are added, everybody reads everything."""
    with transaction.atomic():
        people = [
            User.objects.create_user(f"reader{number}", f"reader{number}@example.org", "x")
            for number in range(readers)
        ]
        shelf = [Book.objects.create(title=f"Book {number}", author="Somebody") for number in range(books)]
    for reader in people:
        with transaction.atomic():
            for book in shelf:
                book_read.send(sender=Book, user=reader, book=book)


def worked_off(log: object = None) -> None:
    """Until all that can be done is done, and counted."""
    wait_for(
        lambda: (
            not Delivery.objects.filter(state__in=[State.SENT, State.RUNNING]).exists()
            and Delivery.objects.filter(state=State.DONE).count() > 0
        ),
        "deliveries",
    )
    wait_for(
        lambda: (
            sum(
                Minute.objects.filter(minute__gt=Minute.ever("default"), state=State.DONE).values_list(
                    "count", flat=True
                )
            )
            >= Delivery.objects.filter(state=State.DONE).count()
        ),
        "figures",
    )
