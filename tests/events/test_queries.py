"""How many statements an event costs: where it is emitted, where its transaction commits, and where it is run.

Those of the relay are in test_relay_queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db import connection, transaction

from events.delivery import chunk, claim
from events.delivery.consuming import consume
from events.delivery.tally import Tally
from events.fast_path import fast_path
from events.message import Message
from events.models import Delivery, State
from events.registry import registry
from events.relay.feeding import feed
from events.relay.materialising import materialise
from tests.events.ageing import store
from tests.events.plans import plans_of, reads_all
from tests.events.queries import statements
from tests.shop.models import Item
from tests.shop.signals import told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("pauses_known")]

EFFECT = ["INSERT shop_effect"]
# On MySQL nothing else tells that a receiver committed: see events.delivery.unbroken.
BEGIN, END = (["SAVEPOINT"], ["RELEASE SAVEPOINT"]) if connection.vendor == "mysql" else ([], [])


@pytest.fixture(autouse=True)
def left_to_the_relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # However slow this machine, a chunk is not cut short.
    monkeypatch.setattr(chunk, "CHUNK_SECONDS", 3600.0)
    # Nor is the time it took worth a word.
    monkeypatch.setattr(claim, "WORTH_WRITING", float("inf"))
    with fast_path.suspended():
        # What a process asks once: its connection's isolation, and so on.
        emitted(1)
        consume(published(fed()))
        yield


def emitted(count: int) -> None:
    with transaction.atomic():
        for _ in range(count):
            told.send(text="x")


def fed() -> Message:
    """The message of all that was told."""
    messages: list[Message] = []
    while materialise("default", frozenset()):
        pass
    feed("default", "default", 9, frozenset(registry.names()), messages.extend)
    return next(message for message in messages if message.receiver.endswith("measure_text"))


def published(message: Message) -> Message:
    """As its emitter would have published it: none of its deliveries has a record."""
    Delivery.objects.filter(receiver=message.receiver).delete()
    return replace(message, attempts=(0,) * len(message.ids))


def test_emit__in_a_transaction__makes_no_statement() -> None:
    with transaction.atomic():
        with statements() as made:
            for _ in range(50):
                told.send(text="x")
        assert made == []


@pytest.mark.parametrize("count", [1, 50])
def test_commit__writes_all_at_once_however_many_were_emitted(count: int) -> None:
    with statements() as made:
        emitted(count)
    expected = ["INSERT offload_event"]
    if count > 1 and connection.vendor != "mysql":
        written = "COPY" if connection.vendor == "postgresql" else "INSERT"
        expected = ["SELECT now", f"{written} offload_event"]
    assert made == expected


def test_commit__asks_what_time_it_is_once_however_many_statements_it_takes() -> None:
    with statements() as made:
        emitted(200)
    assert made.count("SELECT now") == (0 if connection.vendor == "mysql" else 1)


def test_save__makes_one_statement_more_than_without_us() -> None:
    with statements() as made, transaction.atomic():
        Item.objects.create(title="x")
    assert made == ["INSERT shop_item", "INSERT offload_event"]


@pytest.mark.parametrize("count", [1, 50])
def test_chunk_of_the_emitter__claims_and_checks_in_a_statement_each(count: int) -> None:
    emitted(count)
    message = published(fed())
    with statements() as made:
        assert consume(message) == Tally(done=count)
    assert made == [
        # The claim of those that are in the outbox, and whether it is still there at the end.
        "INSERT offload_delivery",
        *BEGIN,
        *EFFECT * count,
        "SELECT offload_delivery",
        *END,
    ]


@pytest.mark.parametrize("count", [1, 50])
def test_chunk_of_the_relay__locks_claims_and_checks_in_a_statement_each(count: int) -> None:
    emitted(count)
    message = fed()
    with statements() as made:
        assert consume(message) == Tally(done=count)
    assert made == [
        "SELECT offload_delivery",
        "UPDATE offload_delivery",
        *BEGIN,
        *EFFECT * count,
        "SELECT offload_delivery",
        *END,
    ]


@pytest.mark.parametrize("count", [1, 50])
def test_slow_chunk__writes_how_long_each_ran_in_the_statement_that_checks(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "WORTH_WRITING", 0.0)
    emitted(count)
    message = published(fed())
    with statements() as made:
        assert consume(message) == Tally(done=count)
    assert made == [
        "INSERT offload_delivery",
        *BEGIN,
        *EFFECT * count,
        "UPDATE offload_delivery",
        # Where others may have deleted since.
        *(["SELECT offload_event"] if connection.features.has_select_for_update else []),
        *END,
    ]
    rows = Delivery.objects.filter(message_id=message.id)
    assert len(rows) == count
    assert all(row.started_at < row.finished_at for row in rows)
    # Its share of the chunk's time, each.
    assert len({row.finished_at - row.started_at for row in rows}) == 1


@pytest.mark.skipif(connection.vendor == "mysql", reason="it has no partial indexes")
@pytest.mark.parametrize("how", ["emitter", "relay"])
def test_chunk__finds_its_records_by_index_beside_many_that_wait(how: str) -> None:
    emitted(20)
    message = published(fed()) if how == "emitter" else fed()
    store(2_000, states=(State.WAITING,), receivers={"tests.first": "default"})
    with connection.cursor() as cursor:
        # Of which SQLite believes ever after what it says: that most have no message.
        cursor.execute("ANALYZE")
    plans = plans_of(lambda: consume(message))
    assert plans
    for sql, text in plans.items():
        assert not reads_all(text), f"{sql}\n{text}"
