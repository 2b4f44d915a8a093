"""An event is kept or lost with the transaction that emitted it."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from events import journal as journal_module
from events.fast_path import fast_path
from events.journal import Journal, journal_of
from events.models import EventRecord
from events.outbox import FLUSH_CHARACTERS, FLUSH_EVERY, Content, Emission, committing
from tests.shop.models import Item
from tests.shop.signals import bought, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def left_to_the_relay() -> Iterator[None]:
    with fast_path.suspended():
        yield


@pytest.fixture
def journal() -> Journal:
    return journal_of("default", fast_path)


@pytest.fixture
def own_connection() -> Iterator[None]:
    """One that no journal is around yet."""
    before = connections["default"]
    connections["default"] = before.copy()
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = before


def subjects() -> list[str]:
    return list(EventRecord.objects.order_by("pk").values_list("subject", flat=True))


def save(title: str = "one") -> str:
    return f"shop.item/{Item.objects.create(title=title).pk}"


class Undo(Exception):
    pass


@contextmanager
def undone() -> Iterator[None]:
    """A block of a transaction, or a savepoint, that is rolled back at its end."""
    try:
        with transaction.atomic():
            yield
            raise Undo
    except Undo:
        pass


def unencodable() -> Emission:
    content = Content(uuid.uuid4(), "broken", "", uuid.uuid4(), None, "{}")
    return Emission.written(content, {"x": object()})  # type: ignore[dict-item]


def test_commit__keeps_the_event() -> None:
    with transaction.atomic():
        subject = save()
        assert subjects() == []
    assert subjects() == [subject]


def test_autocommit__is_a_transaction_of_its_own() -> None:
    assert [save()] == subjects()


def test_rollback__takes_the_event_along() -> None:
    with undone():
        save()
    assert subjects() == []
    assert not Item.objects.exists()


def test_rollback__leaves_nothing_for_the_next_transaction() -> None:
    with undone():
        save()
    with transaction.atomic():
        kept = save()
    assert subjects() == [kept]


def test_set_rollback__takes_the_event_along() -> None:
    with transaction.atomic():
        save()
        transaction.set_rollback(True)
    assert subjects() == []


def test_savepoint_rolled_back__takes_its_events_and_no_others() -> None:
    with transaction.atomic():
        before = save()
        with undone():
            save()
            with transaction.atomic():
                save()
        after = save()
    assert subjects() == [before, after]


def test_savepoint_rolled_back_by_hand__takes_its_events() -> None:
    with transaction.atomic():
        before = save()
        sid = connection.savepoint()  # what transaction.savepoint() calls, under either of its names
        save()
        transaction.savepoint_rollback(sid)
        after = save()
    assert subjects() == [before, after]


def test_savepoint_rolled_back__an_event_flushed_within_it_is_written_again(journal: Journal) -> None:
    with transaction.atomic():
        before = save()
        with undone():
            save()
            # As 500 pending ones do: the row of the first event is written inside the savepoint.
            journal.flush()
            assert len(subjects()) == 2
        assert subjects() == []
    assert subjects() == [before]


def test_savepoint_rolled_back__an_event_flushed_before_it_stays_written_once(journal: Journal) -> None:
    with transaction.atomic():
        before = save()
        journal.flush()
        with undone():
            save()
            journal.flush()
    assert subjects() == [before]


def test_savepoint_older_than_the_journal__takes_all(journal: Journal) -> None:
    with transaction.atomic(), undone():
        journal.marks.clear()
        save()
    assert subjects() == []


def test_inner_block_without_savepoint__is_rolled_back_with_the_outer() -> None:
    with undone():
        save()
        with transaction.atomic(savepoint=False):
            save()
    assert subjects() == []


def test_error_of_any_kind_at_commit__rolls_the_transaction_back(journal: Journal) -> None:
    def save_and_emit_what_cannot_be_written() -> None:
        with transaction.atomic():
            save()
            journal.append(unencodable())

    with pytest.raises(TypeError):
        save_and_emit_what_cannot_be_written()
    assert not Item.objects.exists()
    assert subjects() == []
    # And the connection works on.
    assert [save()] == subjects()


def test_connection_closed_in_a_transaction__takes_the_event_along() -> None:
    with transaction.atomic():
        save()
        connection.close()
    assert subjects() == []
    assert [save()] == subjects()


def test_emitted_after_the_connection_was_closed_in_a_transaction__is_lost_with_it() -> None:
    item = Item.objects.create(title="before")
    EventRecord.objects.all().delete()
    with transaction.atomic():
        connection.close()
        bought.send(sender=Item, item=item, amount=1)
    # It doesn't come along with the next transaction either.
    assert [save()] == subjects()


def test_manual_transaction__commits_and_rolls_back_with_its_events() -> None:
    transaction.set_autocommit(False)
    try:
        kept = save()
        transaction.commit()
        save()
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    assert subjects() == [kept]


def test_many_events__one_insert_per_transaction() -> None:
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        for number in range(80):  # SQLite takes 999 parameters at once
            save(f"{number}")
    inserts = [q["sql"] for q in queries if "offload_event" in q["sql"]]
    assert len(inserts) == 1
    assert len(subjects()) == 80


def test_more_than_500_events__are_flushed_early_and_stay_in_order() -> None:
    with transaction.atomic():
        expected = [save(f"{number}") for number in range(1200)]
        assert 500 <= len(subjects()) < 1200
    assert subjects() == expected


def test_bulk__keeps_no_more_in_memory_than_it_has_still_to_write(journal: Journal) -> None:
    seen = []
    with transaction.atomic():
        for number in range(1200):
            # As `get_or_create` does, a savepoint for each.
            with transaction.atomic():
                save(f"{number}")
            seen.append(len(journal.pending))
    assert len(subjects()) == 1200
    assert max(seen) < FLUSH_EVERY
    assert seen[-1] == 1200 % FLUSH_EVERY


def test_bulk__has_no_callable_for_each_of_its_savepoints() -> None:
    with transaction.atomic():
        for number in range(FLUSH_EVERY + 300):
            with transaction.atomic():
                save(f"{number}")
        assert len(connection.run_on_commit) == FLUSH_EVERY


def test_large_events__are_flushed_by_their_size(journal: Journal) -> None:
    with transaction.atomic():
        for number in range(5):
            told.send(text="x" * (FLUSH_CHARACTERS // 2))
            assert journal.unwritten == 1 - number % 2
            assert len(journal.pending) == journal.unwritten
    assert EventRecord.objects.count() == 5


@pytest.mark.parametrize("seed", range(20))
def test_savepoints_of_any_shape__an_event_for_each_row_and_none_besides(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is let go of once it is written must not be missed when a savepoint takes its row along."""
    monkeypatch.setattr(journal_module, "FLUSH_EVERY", 3)
    random = Random(seed)

    def some(depth: int) -> None:
        for _ in range(random.randrange(6)):
            save("one")
            if depth and random.random() < 0.6:
                with undone() if random.random() < 0.5 else transaction.atomic():
                    some(depth - 1)

    for _ in range(5):
        with undone() if random.random() < 0.1 else transaction.atomic():
            some(4)
    rows = [f"shop.item/{pk}" for pk in Item.objects.order_by("pk").values_list("pk", flat=True)]
    assert subjects() == rows


def test_on_commit_callables__one_per_savepoint_stack() -> None:
    with transaction.atomic():
        for _ in range(50):
            save()
        assert len(connection.run_on_commit) == 1
        with transaction.atomic():
            for _ in range(50):
                save()
        assert len(connection.run_on_commit) == 2


def test_failing_on_commit_of_another__loses_no_event() -> None:
    def fail() -> None:
        raise RuntimeError("somebody else's callback")

    def save_with_a_failing_callback() -> None:
        with transaction.atomic():
            transaction.on_commit(fail)
            save()

    with pytest.raises(RuntimeError):
        save_with_a_failing_callback()
    assert len(subjects()) == 1


class Everything:
    """A fast path that would publish all, and says what it was given."""

    def __init__(self) -> None:
        self.published = 0

    def choose(self, receivers: Mapping[str, str], using: str) -> Sequence[str]:
        return tuple(receivers)

    def publish(self, emissions: Sequence[Emission], using: str) -> None:
        self.published += sum(bool(emission.published) for emission in emissions)


def test_bulk__only_its_first_flush_takes_the_fast_path(journal: Journal) -> None:
    journal.fast_path, usual = Everything(), journal.fast_path
    try:
        with transaction.atomic():
            for number in range(1200):
                save(f"{number}")
        assert isinstance(journal.fast_path, Everything)
        assert journal.fast_path.published == FLUSH_EVERY
        # And the next transaction begins anew.
        save()
        assert journal.fast_path.published == FLUSH_EVERY + 1
    finally:
        journal.fast_path = usual


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_other_alias__stores_its_own_events(settings: Settings) -> None:
    settings.EVENTS = settings.EVENTS | {"DATABASES": ["default", "other"]}
    with undone():
        save()
        with transaction.atomic("other"):
            Item(title="there").save(using="other")
    assert subjects() == []
    assert EventRecord.objects.using("other").count() == 1


def took_along(captured: CaptureQueriesContext) -> int:
    return sum(query["sql"].endswith("; COMMIT") for query in captured)


@pytest.fixture
def sends_several() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL's driver sends several statements at once")
    connection.ensure_connection()
    # Where it can't, the tests below would say nothing.
    assert committing.can_commit(connections["default"])


def test_last_statement_of_a_commit__takes_the_commit_along(sends_several: None) -> None:
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        subject = save()
    assert took_along(captured) == 1
    assert subjects() == [subject]


def test_statement_that_something_is_wrapped_around__commits_nothing(sends_several: None) -> None:
    def fail_afterwards(execute: Any, sql: str, *args: Any) -> Any:
        execute(sql, *args)
        if "offload_event" in sql:
            raise LookupError

    with connection.execute_wrapper(fail_afterwards), pytest.raises(LookupError):
        transaction.atomic(save)()
    assert (Item.objects.count(), subjects()) == (0, [])


def test_pipeline__takes_a_statement_at_a_time(sends_several: None) -> None:
    with connection.connection.pipeline(), transaction.atomic():
        subject = save()
    assert subjects() == [subject]


@pytest.mark.parametrize("of", ["backend", "driver"])
def test_commit_that_something_is_put_around__is_asked_first(
    own_connection: None, sends_several: None, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    def refuse(self: Any) -> None:
        raise LookupError

    kind = BaseDatabaseWrapper if of == "backend" else type(connection.connection)
    monkeypatch.setattr(kind, "commit", refuse)
    with pytest.raises(LookupError):
        transaction.atomic(save)()
    monkeypatch.undo()
    assert (Item.objects.count(), subjects()) == (0, [])


def test_commit_that_a_signal_interrupts__is_cancelled(sends_several: None) -> None:
    """As a soft time limit does: the driver cancels for KeyboardInterrupt and SystemExit alone."""

    class Limit(Exception):
        pass

    def strike(number: int, frame: Any) -> None:
        raise Limit

    before = signal.signal(signal.SIGALRM, strike)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER lingering BEFORE INSERT ON offload_event FOR EACH ROW EXECUTE FUNCTION linger()"
        )
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(Exception):  # noqa: B017, PT011 - Django's own, of a connection that is busy still
            transaction.atomic(save)()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER lingering ON offload_event")
            cursor.execute("DROP FUNCTION linger")
    assert (Item.objects.count(), subjects()) == (0, [])


def test_commit_that_the_database_refuses__keeps_neither_row_nor_event() -> None:
    if not connection.features.can_defer_constraint_checks:
        pytest.skip("this database refuses at once")

    def save_and_refer_to_nothing() -> None:
        save()
        Item.tags.through.objects.create(item_id=-1, tag_id=-1)

    with pytest.raises(IntegrityError):
        transaction.atomic(save_and_refer_to_nothing)()
    assert (Item.objects.count(), subjects()) == (0, [])
    # And the connection goes on.
    assert [save()] == subjects()


def test_commit_inside_a_block__is_an_error_and_commits_nothing() -> None:

    def save_and_commit() -> None:
        save()
        connection.commit()

    with pytest.raises(TransactionManagementError):
        transaction.atomic(save_and_commit)()
    assert (Item.objects.count(), subjects()) == (0, [])


def test_commit_of_another_app_around_ours__is_asked_before_anything_is_committed(
    own_connection: None,
) -> None:
    def refuse() -> None:
        raise LookupError

    connection.commit = refuse  # type: ignore[method-assign]
    with pytest.raises(LookupError), transaction.atomic():
        save()
    assert (Item.objects.count(), subjects()) == (0, [])
