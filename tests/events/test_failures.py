"""A failure is recorded whatever its text."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from events import Backoff, Event, Skip
from events.models import Delivery, State
from events.testing import drain
from tests.events.conftest import Offloaded
from tests.shop.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)

happened = Event("review.happened", text=str)
TEXTS = {"nul": "a\x00b", "half": "file \udcff.txt"}


def fails(sender: Any, text: str, **kwargs: Any) -> None:
    if text in TEXTS:
        raise ValueError(TEXTS[text])
    if text == "skip":
        raise Skip("a\x00b \udcff")
    if text.startswith("commit"):
        Effect.objects.create(receiver="fails", key=text)

        def after() -> None:
            if text == "commit1":
                raise ValueError("in on_commit")
            Effect.objects.create(receiver="after", key=text)

        transaction.on_commit(after)
        return
    if text == "exit":
        raise SystemExit(3)
    Effect.objects.create(receiver="fails", key=text)


def emit(*texts: str) -> None:
    with transaction.atomic():
        for text in texts:
            happened.send(None, text=text)


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("text", TEXTS)
def test_failure__text_that_no_database_stores(offloaded: Offloaded, text: str, atomic: bool) -> None:
    offloaded(fails, happened, atomic=atomic, retry=Backoff(tries=1))
    emit("one", text, "two")
    drained = drain()
    assert (drained.done, drained.dead) == (2, 1)
    assert "ValueError" in Delivery.objects.get(state=State.DEAD).error


@pytest.mark.parametrize("atomic", [True, False])
def test_skip__text_that_no_database_stores(offloaded: Offloaded, atomic: bool) -> None:
    offloaded(fails, happened, atomic=atomic, retry=Backoff(tries=1))
    emit("one", "skip", "two")
    drained = drain()
    assert (drained.done, drained.skipped) == (2, 1)


@pytest.mark.parametrize("atomic", [True, False])
def test_on_commit_that_raises__skips_no_neighbours(offloaded: Offloaded, atomic: bool) -> None:
    offloaded(fails, happened, atomic=atomic, retry=Backoff(tries=1))
    emit("commit0", "commit1", "commit2")
    drain()
    assert sorted(Effect.objects.filter(receiver="after").values_list("key", flat=True)) == [
        "commit0",
        "commit2",
    ]


@pytest.mark.parametrize("atomic", [True, False])
def test_receiver_that_exits__fails_like_any_other(offloaded: Offloaded, atomic: bool) -> None:
    offloaded(fails, happened, atomic=atomic, retry=Backoff(tries=1))
    emit("one", "exit", "two")
    drained = drain()
    assert (drained.done, drained.dead) == (2, 1)


def test_on_commit_that_raises__is_noted_on_its_own_delivery(offloaded: Offloaded) -> None:
    offloaded(fails, happened)
    emit("commit0", "commit1", "commit2")
    drain()
    assert [bool(row.error) for row in Delivery.objects.order_by("event_id")] == [False, True, False]
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DONE}
