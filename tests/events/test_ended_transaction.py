"""A receiver that ends the transaction it runs in fails; the chunk's other deliveries run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection, connections, transaction

from events import Backoff, Event
from events.delivery import chunk
from events.delivery.consuming import consume
from events.fast_path import fast_path
from events.models import Delivery, State
from events.testing import _due_messages, drain
from tests.events.conftest import Offloaded
from tests.shop.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)

happened = Event("review.ended", text=str)


def commits(sender: Any, text: str, **kwargs: Any) -> None:
    if text.startswith(("COMMIT", "ROLLBACK")):
        with connection.cursor() as cursor:
            cursor.execute(text.split(maxsplit=1)[0])
        if text.endswith("raise"):
            raise ValueError(text)
    Effect.objects.create(receiver="commits", key=text)


@pytest.mark.parametrize("text", ["COMMIT", "COMMIT raise", "ROLLBACK", "ROLLBACK raise"])
@pytest.mark.parametrize("recorded", [True, False])
def test_ended_transaction__costs_no_neighbour(offloaded: Offloaded, text: str, recorded: bool) -> None:
    offloaded(commits, happened, retry=Backoff(tries=1))
    with fast_path.suspended(), transaction.atomic():
        for each in ("one", text, "two", "three"):
            happened.send(None, text=each)
    (message,) = _due_messages("default")
    if not recorded:
        # As the emitter's own message: no delivery has a record.
        Delivery.objects.all().delete()
        message = replace(message, attempts=(0,) * 4)
    consume(message)
    effects = Effect.objects.exclude(key=text).order_by("key")
    assert {"one", "three", "two"} == set(effects.values_list("key", flat=True))
    states = list(Delivery.objects.order_by("event_id").values_list("state", flat=True))
    # PostgreSQL's driver begins anew at the next statement: a COMMIT alone goes unseen, and does no harm.
    own = states.pop(1)
    assert own == State.DEAD or (own == State.DONE and text == "COMMIT")
    assert states == [State.DONE] * 3


def record(sender: Any, text: str, **kwargs: Any) -> None:
    Effect.objects.create(receiver="record", key=text)


@pytest.mark.parametrize("recorded", [True, False])
def test_commit_that_is_answered_with_an_error__is_not_undone(
    offloaded: Offloaded, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    offloaded(record, happened)
    with fast_path.suspended(), transaction.atomic():
        for each in ("one", "two"):
            happened.send(None, text=each)
    (message,) = _due_messages("default")
    if not recorded:
        Delivery.objects.all().delete()
        message = replace(message, attempts=(0, 0))
    # Itself, and not the proxy: of that one pytest would take the journal's commit away again.
    wrapper = connections["default"]
    commit = wrapper.commit

    def commit_and_fail() -> None:
        commit()
        monkeypatch.undo()
        raise DataError("committed, and answered with an error")

    monkeypatch.setattr(wrapper, "commit", commit_and_fail)
    consume(message)
    drain()
    assert sorted(Effect.objects.values_list("key", flat=True)) == ["one", "two"]


def record_or_raise(sender: Any, text: str, **kwargs: Any) -> None:
    if text == "two":
        raise ValueError(text)
    Effect.objects.create(receiver="record_or_raise", key=text)


def test_commit_whose_answer_is_lost__is_not_undone_by_what_its_repetition_runs(
    offloaded: Offloaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    offloaded(record_or_raise, happened, retry=Backoff(tries=1))
    # The first transaction has time for the first of them, its repetition runs the second.
    monkeypatch.setattr(chunk, "CHUNK_SECONDS", 0)
    with fast_path.suspended(), transaction.atomic():
        for each in ("one", "two"):
            happened.send(None, text=each)
    (message,) = _due_messages("default")
    wrapper = connections["default"]
    commit = wrapper.commit

    def commit_and_lose_the_answer() -> None:
        commit()
        monkeypatch.setattr(wrapper, "commit", commit)
        if wrapper.vendor == "postgresql":
            wrapper.connection.close()
        raise OperationalError(2013, "the server is gone, or: database is locked")

    monkeypatch.setattr(wrapper, "commit", commit_and_lose_the_answer)
    consume(message)
    assert list(Effect.objects.values_list("key", flat=True)) == ["one"]
    states = Delivery.objects.order_by("event_id").values_list("state", flat=True)
    assert list(states) == [State.DONE, State.DEAD]


class Deadlock(Exception):
    sqlstate = "40P01"


def commit_and_meet_a_deadlock_once(sender: Any, text: str, **kwargs: Any) -> None:
    if text not in met:
        met.append(text)
        with connection.cursor() as cursor:
            cursor.execute("COMMIT")
        raise OperationalError(1213, "database is locked") from Deadlock
    Effect.objects.create(receiver="commit_and_meet_a_deadlock_once", key=text)


met: list[str] = []


@pytest.mark.parametrize("recorded", [True, False])
def test_ended_transaction__that_is_repeated_runs_again(offloaded: Offloaded, recorded: bool) -> None:
    met.clear()
    offloaded(commit_and_meet_a_deadlock_once, happened)
    with fast_path.suspended(), transaction.atomic():
        happened.send(None, text="one")
    (message,) = _due_messages("default")
    if not recorded:
        Delivery.objects.all().delete()
        message = replace(message, attempts=(0,))
    consume(message)
    assert Effect.objects.get().key == "one"
    assert Delivery.objects.get().state == State.DONE
