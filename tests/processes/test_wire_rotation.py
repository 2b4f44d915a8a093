"""A new SECRET_KEY, in whatever order web and workers get it: nothing is lost, and nothing runs twice."""

from __future__ import annotations

import subprocess
import sys

import pytest

from events.models import Delivery, EventRecord, Refusal, State
from project.dev.broker import Broker
from tests import brokers
from tests.processes.conftest import ROOT, Start, wait_for
from tests.processes.wire import refused
from tests.shop.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)

SAVES = 4
OLD = {"SECRET_KEY": "the-former-key-that-is-long-enough-for-the-deployment-check-of-django"}
NEW = {"SECRET_KEY": "the-coming-key-that-is-long-enough-for-the-deployment-check-of-django"}
# As it should be done: first everybody learns to read the new key, then everybody writes with it.
OLD_READS_NEW = OLD | {"SECRET_KEY_FALLBACKS": NEW["SECRET_KEY"]}
NEW_READS_OLD = NEW | {"SECRET_KEY_FALLBACKS": OLD["SECRET_KEY"]}


def emit(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "tests.processes.emitter", str(SAVES)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def emit_into(broker: Broker, env: dict[str, str]) -> int:
    """How often it took until some of it lay in the broker: on a slow machine all of it may be left to a relay."""
    emissions = 0
    while not brokers.waiting(broker, "default"):
        emit(env)
        emissions += 1
    return emissions


def assert_each_ran_once(emissions: int) -> None:
    due = 2 * SAVES * emissions
    wait_for(lambda: Delivery.objects.filter(state=State.DONE).count() == due, "every delivery")
    keys = list(Effect.objects.values_list("receiver", "key"))
    assert len(keys) == len(set(keys)) == due
    assert EventRecord.objects.count() == SAVES * emissions


def test_old_messages_in_the_broker__run_on_workers_with_the_new_key(
    process_env: dict[str, str], start_worker: Start, broker: Broker
) -> None:
    emissions = emit_into(broker, process_env | OLD)
    start_worker(**NEW_READS_OLD)
    assert_each_ran_once(emissions)
    assert not refused()


def test_web_in_front__workers_that_know_both_keys__refuse_nothing(
    process_env: dict[str, str], start_worker: Start
) -> None:
    start_worker(**OLD_READS_NEW)
    emit(process_env | OLD_READS_NEW)
    emit(process_env | NEW_READS_OLD)
    assert_each_ran_once(2)
    assert not refused()


def test_web_in_front__workers_that_know_the_old_key_only__refuse_until_they_are_renewed(
    process_env: dict[str, str], start_worker: Start, broker: Broker
) -> None:
    emissions = emit_into(broker, process_env | NEW_READS_OLD)
    behind = start_worker(EVENTS_RELAY="off", **OLD)
    wait_for(refused, "refusals")
    assert set(Refusal.objects.values_list("reason", flat=True)) == {
        "the signature does not fit: altered, forged, or signed with a key that is gone"
    }
    assert not Effect.objects.exists()
    behind.stop()
    start_worker(**NEW_READS_OLD)
    assert_each_ran_once(emissions)
    # To be refused is nobody's failure.
    assert set(Delivery.objects.values_list("tries", flat=True)) == {0}


def test_old_key_gone_too_early__messages_of_it_are_refused_and_sent_anew(
    process_env: dict[str, str], start_worker: Start, broker: Broker
) -> None:
    emissions = emit_into(broker, process_env | OLD)
    start_worker(**NEW)
    assert_each_ran_once(emissions)
    assert refused()
