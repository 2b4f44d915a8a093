"""A receiver that raises, swallows, closes, dies or hangs: its own delivery ends as a dead letter, and no other."""

from __future__ import annotations

import pytest

from events.models import Delivery, State
from tests.processes.conftest import Start, wait_for
from tests.shop.models import Effect
from tests.shop.receivers import QUICK, misbehave

pytestmark = pytest.mark.django_db(transaction=True)

INSIDE = "misbehave_in_transaction"
OUTSIDE = "misbehave_outside"


def state_of(receiver: str) -> str:
    return Delivery.objects.get(receiver=f"tests.shop.receivers.{receiver}").state


def tries_of(receiver: str) -> int:
    return Delivery.objects.get(receiver=f"tests.shop.receivers.{receiver}").tries


def effects_of(receiver: str) -> int:
    return Effect.objects.filter(receiver=receiver).count()


def all_finished() -> bool:
    states = list(Delivery.objects.values_list("state", flat=True))
    return len(states) == 3 and not {State.WAITING, State.SENT, State.RUNNING} & set(states)


def emit(how: str) -> None:
    misbehave.send(how=how, tag=how)
    wait_for(all_finished, f"three finished deliveries after {how!r}")
    # Whatever the other two did, this one is untouched.
    assert state_of("behave") == State.DONE
    assert effects_of("behave") == 1


@pytest.mark.parametrize("how", ["raise", "swallow", "close", "roll back"])
def test_receiver_in_its_transaction__fails_without_a_trace(start_worker: Start, how: str) -> None:
    start_worker()
    emit(how)
    assert state_of(INSIDE) == State.DEAD
    assert tries_of(INSIDE) == QUICK.tries
    # Each of its tries wrote a row, and each was rolled back with it.
    assert effects_of(INSIDE) == 0


@pytest.mark.parametrize("how", ["swallow", "close"])
def test_receiver_outside_a_transaction__may_handle_its_own_connection(start_worker: Start, how: str) -> None:
    start_worker()
    emit(how)
    assert state_of(OUTSIDE) == State.DONE
    assert effects_of(OUTSIDE) == 1


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_receiver_that_ends_its_process__is_a_dead_letter_after_its_tries(
    start_worker: Start, how: str
) -> None:
    worker = start_worker()
    emit(how)
    assert state_of(INSIDE) == state_of(OUTSIDE) == State.DEAD
    assert tries_of(INSIDE) == tries_of(OUTSIDE) == QUICK.tries
    assert effects_of(INSIDE) == 0
    # The first run counts nothing: nobody knew yet that it is a poison.
    assert effects_of(OUTSIDE) == QUICK.tries + 1
    assert worker.process.poll() is None
