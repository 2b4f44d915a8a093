"""What the relay asks for every quarter of a second: through which index, and how many statements."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from events.fast_path import fast_path
from events.models import Delivery, State, Worker
from events.registry import registry
from events.relay import materialising
from events.relay.ageing import Size
from events.relay.feeding import feed
from events.relay.looking import examine
from events.relay.materialising import batch, materialise
from events.relay.rounds import Round, _unfinished_queues, turn
from events.relay.turns import due_receivers
from project.dev.broker import Broker
from tests.events.ageing import RECEIVERS, old, store, store_many
from tests.events.plans import plans_of, reads_all
from tests.events.queries import statements
from tests.shop.signals import told

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("pauses_known"),
    pytest.mark.skipif(connection.vendor == "mysql", reason="it has no partial indexes: see test_engines"),
]


@pytest.fixture(autouse=True)
def batches_as_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(materialising._sizes, "default", Size(target=60.0, most=500))


FIRST = next(iter(RECEIVERS))
OWN = {"offload_event_due", "offload_delivery_due", "offload_delivery_turn"}


def ignore(messages: object) -> None:
    """Where the broker would be."""


def unfinished() -> None:
    """Some of every kind, due, among many that are done."""
    store_many(10)
    store(20, next_at=old(1), states=())
    for state in (State.WAITING, State.SENT):
        for row in store(20, states=(state, state)):
            row.deliveries.update(next_at=Now())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


ASKED: dict[str, tuple[Callable[[], object], set[str]]] = {
    "which queues have anything unfinished": (
        lambda: list(_unfinished_queues("default")),
        {"offload_delivery_due"},
    ),
    "materialise": (lambda: materialise("default", frozenset()), {"offload_event_due"}),
    "look": (lambda: examine("default", "default", frozenset(), frozenset()), {"offload_delivery_due"}),
    "which receivers have anything due": (
        lambda: list(due_receivers("default", "default")),
        {"offload_delivery_turn"},
    ),
    "feed": (lambda: feed("default", "default", 2, frozenset(RECEIVERS), ignore), {"offload_delivery_turn"}),
}


@pytest.mark.parametrize("name", ASKED)
def test_relay__finds_by_an_index_of_the_unfinished_alone(name: str) -> None:
    unfinished()
    action, expected = ASKED[name]
    plans = plans_of(action)
    used = {index for text in plans.values() for index in OWN if index in text}
    assert used == expected, plans
    for sql, text in plans.items():
        assert not reads_all(text), f"{sql}\n{text}"
        # What isn't found by such an index is found by keys that one of them gave.
        assert used & OWN or " IN (" in sql, f"{sql}\n{text}"


def test_relay__sorts_nothing_that_waits() -> None:
    unfinished()
    for name in ("which queues have anything unfinished", "which receivers have anything due"):
        for text in plans_of(ASKED[name][0]).values():
            assert "Sort" not in text, text
            assert "TEMP B-TREE" not in text, text


# Who died or left, if anybody; who lives.
BEGINS = ["SELECT offload_worker"] * 2
# Whether any event is due: nothing else is done where none is.
EXAMINES = ["SELECT offload_event"]
MATERIALISES = [
    *EXAMINES,
    # How long it waits for others' locks; and that no table is read from end to end.
    *(["SET LOCAL"] * 2 if connection.vendor == "postgresql" else []),
    "SELECT offload_event",
    "SELECT offload_delivery",
    "INSERT offload_delivery",
    "UPDATE offload_event",
]
# The look, then whose turn it is: one receiver's, and no other's.
SERVES = ["SELECT offload_worker", *["SELECT offload_delivery"] * 3]
# What is due, marked as sent; its envelopes; and nothing more of it is due.
SENDS = [
    "SELECT offload_delivery",
    "UPDATE offload_delivery",
    "SELECT offload_event",
    "SELECT offload_delivery",
]


def test_round_with_nothing_to_do__asks_what_there_is_to_do_and_no_more(broker: Broker) -> None:
    turn("default")
    store_many(3)
    with statements() as made:
        assert not turn("default")
    assert made == [*BEGINS, *EXAMINES, "SELECT offload_delivery", "SELECT offload_queue"]


@pytest.mark.parametrize("events", [1, 40])
def test_round_that_sends_a_message__asks_as_often_however_many_are_in_it(
    events: int, broker: Broker, told_is_served: None
) -> None:
    turn("default")
    with fast_path.suspended(), transaction.atomic():
        for _ in range(events):
            told.send(text="x")
    with statements() as made:
        assert turn("default") == Round(materialised=events, messages=1)
    queues = ["SELECT offload_delivery"] * 2 + ["SELECT offload_queue"]
    # Whether the lease is ours is asked; it isn't, and is taken.
    lease = ["SELECT offload_queue", "UPDATE offload_queue"]
    assert made == [*BEGINS, *MATERIALISES, *queues, *lease, *SERVES, *SENDS]


@pytest.fixture
def told_is_served() -> None:
    Worker.objects.create(id="one", queues=["default"], receivers=registry.names())


def test_recording__makes_the_rows_that_the_model_would() -> None:
    """Its statement is made by hand: a column that is added to the model has to be added there."""
    store(1, next_at=old(), states=())
    materialise("default", frozenset())
    (made,) = Delivery.objects.filter(receiver=FIRST)
    Delivery.objects.create(
        event_id=made.event_id, receiver="tests.third", queue="default", state=State.WAITING
    )
    expected = Delivery.objects.get(receiver="tests.third")
    apart = {"id", "receiver", "next_at"}
    assert made.next_at is not None
    for field in Delivery._meta.concrete_fields:
        if field.attname not in apart:
            assert getattr(made, field.attname) == getattr(expected, field.attname), field.attname


def test_materialise__what_takes_long_is_done_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    size = Size(target=0.25, most=500)
    monkeypatch.setitem(materialising._sizes, "default", size)
    store(100, next_at=old(), states=())
    assert materialise("default", frozenset()) == 50
    size.learn(10.0, 50)
    assert batch("default") == materialise("default", frozenset()) == 10


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="it is PostgreSQL that doesn't know its tables at first"
)
@pytest.mark.django_db
def test_materialise__reads_no_table_from_end_to_end_that_nobody_has_analysed() -> None:
    store(2_000)
    store(200, states=(), next_at=old())
    before = _read_from_end_to_end()
    materialise("default", frozenset())
    assert Delivery.objects.filter(state=State.WAITING).exists()
    assert _read_from_end_to_end() == before


def _read_from_end_to_end() -> list[tuple[str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, seq_scan FROM pg_stat_xact_user_tables "
            "WHERE relname IN ('offload_event', 'offload_delivery') ORDER BY 1"
        )
        return cursor.fetchall()
