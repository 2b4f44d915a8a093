"""A prune beside those who need the same rows at the same time; and one that is killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models.signals import post_save

from events.delivery.concluding import Conclusion
from events.delivery.consuming import consume
from events.message import Message
from events.models import Delivery, EventRecord, Refusal, State
from events.operations.replaying import replay
from events.relay.ageing import Size
from events.relay.pruning import Pruned, _delete
from events.relay.replaying import Past
from events.testing import drain
from tests.conftest import database_url
from tests.events.ageing import left, old, pruned, store, store_many
from tests.events.concluding import conclusion
from tests.events.conftest import Offloaded
from tests.events.operating import HEARING_CTRL_C
from tests.shop.models import Effect, Item, Tag

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = __file__.partition("/tests/")[0]


@contextmanager
def beside(action: Callable[[], object]) -> Iterator[None]:
    """The action in a thread of its own; its error, at the end, is the test's."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - raised again by the test
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    for error in errors:
        raise error


PRUNE = [*HEARING_CTRL_C, sys.executable, "manage.py", "events", "prune"]


def environment(**given: str) -> dict[str, str]:
    here = {"DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": database_url()}
    return {**os.environ, **here, "TEST_OTHER_DATABASE": "off", **given}


def prune_by_command(crashpoint: str = "") -> subprocess.CompletedProcess[str]:
    env = environment(EVENTS_CRASHPOINT=crashpoint)
    return subprocess.run(PRUNE, env=env, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_prune__killed_in_the_middle_of_a_slice__leaves_nothing_half() -> None:
    store(20)
    assert prune_by_command("prune.halfway").returncode == -signal.SIGKILL
    assert left() == (20, 40)
    done = prune_by_command()
    assert "20 events of more than 30 days deleted" in done.stdout, done.stderr
    assert left() == (0, 0)


def interrupted(many: int) -> tuple[int, str, str]:
    """When it has begun: how it ended, and what it said."""
    command = subprocess.Popen(
        PRUNE,
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while EventRecord.objects.count() == many + many // 4 and time.monotonic() < end:
        time.sleep(0.01)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=120)
    return command.returncode, out, err


def test_prune__ended_by_ctrl_c__says_what_it_did() -> None:
    # On a busy machine it may be done before we see that it has begun.
    for _ in range(10):
        many = store_many(13)
        code, out, err = interrupted(many)
        events, deliveries = left()
        if events > many // 4:
            break
        EventRecord.objects.all().delete()
    assert code == 130, out + err
    assert f"So far: {many + many // 4 - events:,} events" in err
    assert "nothing is half done" in err
    assert deliveries == 2 * events > 0


def test_prune__two_side_by_side__each_row_once() -> None:
    many = store_many(10)
    totals: list[Pruned] = []
    with beside(lambda: totals.append(pruned())), beside(lambda: totals.append(pruned())):
        pass
    assert sum(total.events for total in totals) == many
    assert left() == (many // 4, many // 2)


def test_prune__in_the_middle_of_a_replay__leaves_what_runs_again() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    Item.objects.create(title="x")
    drain()
    EventRecord.objects.update(emitted_at=old(), next_at=None)
    with transaction.atomic():
        *_, total = replay("default", Past(), receiver=None, by="ann")
        # It does not wait for the replay either: it comes back in an hour.
        with beside(pruned):
            pass
    assert total.deliveries == 2
    assert drain().done == 2
    # From now on it would go.
    EventRecord.objects.update(next_at=None)
    assert pruned().events == 1


@pytest.fixture(params=["read committed", "repeatable read", "serializable"])
def isolation(request: pytest.FixtureRequest) -> Iterator[str]:
    """As a role's default, which Django's settings know nothing of."""
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL lets a claim wait for a prune, and then sees what was before")
    level = request.param
    _default_to(level)
    yield level
    _default_to("read committed")


def _default_to(level: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER DATABASE {connection.settings_dict['NAME']} SET default_transaction_isolation = '{level}'"
        )
    connections.close_all()


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize("receiver", ["record_save", "mail_save"])
@pytest.mark.parametrize("result", [None, conclusion()], ids=["alone", "with its result"])
def test_prune__while_a_duplicate_is_claimed__has_no_effect_twice(
    receiver: str, result: Conclusion | None
) -> None:
    Item.objects.create(title="x")
    drain()
    claim_during_a_prune(f"tests.shop.receivers.{receiver}", result)
    assert Effect.objects.filter(receiver=receiver).count() == 1
    assert Refusal.objects.get().reason.endswith("pruned, or aimed at another")
    assert left() == (0, 0)


@pytest.mark.usefixtures("isolation")
def test_prune__while_a_duplicate_is_claimed_that_fails_now__leaves_nothing(offloaded: Offloaded) -> None:
    offloaded(succeed_once, post_save, sender=Tag)
    Tag.objects.create(name="x")
    drain()
    claim_during_a_prune(f"{succeed_once.__module__}.{succeed_once.__qualname__}")
    assert Refusal.objects.get().reason.endswith("pruned, or aimed at another")
    assert left() == (0, 0)


def succeed_once(sender: Any, **kwargs: Any) -> None:
    if Effect.objects.exists():
        raise ValueError("again")
    Effect.objects.create(receiver="once", key="x")


def claim_during_a_prune(receiver: str, result: Conclusion | None = None) -> None:
    """A message of the only event, finished long ago, comes again while a prune has deleted it and not committed."""
    EventRecord.objects.update(emitted_at=old(), next_at=None)
    event = EventRecord.objects.get()
    message = Message(
        receiver=receiver,
        queue="default",
        using="default",
        ids=(str(event.pk),),
        envelopes=(event.envelope,),
        attempts=(0,),
    )
    with beside_after(lambda: consume(message, result)) as start, transaction.atomic():
        assert _delete("default", [event.pk], Size()) == 1
        start()
        wait_until_it_waits()


@contextmanager
def beside_after(action: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Begins when it is told to."""
    go = threading.Event()

    def wait_and_run() -> None:
        assert go.wait(60)
        action()

    with beside(wait_and_run):
        yield go.set


def wait_until_it_waits() -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    end = time.monotonic() + 60
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            # Inside a transaction its own picture of this would stay the same.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
    pytest.fail("the claim didn't wait for the prune")


def test_prune__delivery_that_waits_again__keeps_its_event() -> None:
    (event,) = store(states=(State.DONE, State.DEAD))
    Delivery.objects.filter(state=State.DEAD).update(state=State.WAITING)
    assert not pruned()
    assert EventRecord.objects.get().pk == event.pk
