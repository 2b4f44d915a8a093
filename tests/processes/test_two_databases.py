"""Two databases with an outbox each: events are kept, sent and recorded where their transaction was."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connections, transaction
from pytest_django import Settings

from events.fast_path import fast_path
from events.models import Delivery, EventRecord, State, Worker
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Effect, Item

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ITEMS = 20
ALIASES = ("default", "other")


@pytest.fixture(autouse=True)
def two_outboxes(settings: Settings) -> None:
    settings.EVENTS = settings.EVENTS | {"DATABASES": list(ALIASES)}


def save(using: str, *, roll_back: bool = False) -> None:
    with transaction.atomic(using=using):
        for number in range(ITEMS):
            Item.objects.using(using).create(title=f"{using} {number}")
        if roll_back:
            transaction.set_rollback(True, using=using)


def finished(using: str) -> int:
    return Delivery.objects.using(using).filter(state=State.DONE).count()


@pytest.mark.parametrize("left_to_the_relay", [False, True])
def test_two_outboxes__each_delivers_what_was_committed_on_its_own(
    start_worker: Start, left_to_the_relay: bool
) -> None:
    worker = start_worker(
        DJANGO_SETTINGS_MODULE="tests.processes.two_databases",
        TEST_OTHER_DATABASE="on",
        OTHER_DATABASE=str(connections["other"].settings_dict["NAME"]),
    )
    wait_for(Worker.objects.using("other").exists, "a beat on the other", log=worker.log)

    def all_saved() -> None:
        save("default")
        save("other")
        # One of two transactions rolls back: the other stands, with its events. In the order in which the receivers
        # take the two databases' locks: SQLite's writers would wait for each other.
        with transaction.atomic(using="other"), transaction.atomic(using="default"):
            save("other", roll_back=True)
            Item.objects.create(title="default alone")

    if left_to_the_relay:
        with fast_path.suspended():
            all_saved()
    else:
        all_saved()
    assert EventRecord.objects.using("other").count() == ITEMS
    assert EventRecord.objects.using("default").count() == ITEMS + 1
    for using, events in (("default", ITEMS + 1), ("other", ITEMS)):
        wait_for(lambda u=using, n=events: finished(u) == 2 * n, f"all of {using}", log=worker.log)  # type: ignore[misc]
        assert Delivery.objects.using(using).count() == 2 * events
    counted = Counter(Effect.objects.values_list("receiver", "key"))
    assert len(counted) == 2 * (2 * ITEMS + 1)
    assert set(counted.values()) == {1}
