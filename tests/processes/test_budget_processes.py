"""Processes that fork, that end, and whose resolver hangs: what becomes of the thread that publishes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from events.models import EventRecord
from project.dev.broker import Broker
from tests import brokers
from tests.faults.proxy import Proxy
from tests.processes.conftest import PATIENCE, ROOT
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

BEGIN = """
import os, socket, sys, threading, time, warnings
import django
django.setup()
from django.db import connections, transaction
from events.fast_path import fast_path
from tests.shop.models import Item

warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads is what is tried here

def save():
    with transaction.atomic():
        Item.objects.create(title="one")
"""

FORK = """
save()
assert fast_path.finish(60)
connections.close_all()
child = os.fork()
if child == 0:
    save()
    os._exit(0 if fast_path.finish(60) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

FORK_WHILE_OPEN = """
save()
while fast_path.breaker.is_closed():
    time.sleep(0.01)
child = os.fork()
if child == 0:
    os._exit(0 if fast_path.flows() else 1)
assert not fast_path.breaker.is_closed()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

FORK_WHILE_AN_ID_IS_DRAWN = """
import signal
from events import ids
ids._lock.acquire()  # as any other thread may have, just then
child = os.fork()
if child == 0:
    signal.alarm(20)
    save()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

RESOLVER_HANGS = """
socket.getaddrinfo = lambda *args, **kwargs: threading.Event().wait()
threads = [threading.Thread(target=save) for _ in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

ONE = "save()"


def run(env: dict[str, str], script: str, log: Path, **environment: str) -> int:
    with log.open("wb") as out:
        return subprocess.run(
            [sys.executable, "-c", BEGIN + script],
            env=env | environment,
            cwd=ROOT,
            stdout=out,
            stderr=out,
            timeout=PATIENCE,
            check=False,
        ).returncode


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "process.log"


def test_fork__has_a_thread_and_connections_of_its_own(
    process_env: dict[str, str], broker: Broker, log: Path
) -> None:
    assert run(process_env, FORK, log) == 0, log.read_text()
    assert brokers.waiting(broker, "default") == 2


def test_fork__does_not_inherit_an_open_breaker(process_env: dict[str, str], log: Path) -> None:
    assert run(process_env, FORK_WHILE_OPEN, log, TEST_BROKER_URL=brokers.NOWHERE) == 0, log.read_text()


def test_fork__while_another_thread_emits__emits_too(process_env: dict[str, str], log: Path) -> None:
    assert run(process_env, FORK_WHILE_AN_ID_IS_DRAWN, log) == 0, log.read_text()
    assert EventRecord.objects.count() == 1


def test_resolver_hangs__commits_and_the_end_of_the_process_do_not(
    process_env: dict[str, str], log: Path
) -> None:
    where = {"TEST_BROKER_URL": brokers.NOWHERE.replace("127.0.0.1:1/", "broker.invalid:1/")}
    assert run(process_env, RESOLVER_HANGS, log, **where) == 0, log.read_text()
    assert Item.objects.count() == EventRecord.objects.count() == 5


def test_process_that_ends_at_once__hands_over_what_it_committed_last(
    process_env: dict[str, str], broker: Broker, log: Path
) -> None:
    assert run(process_env, ONE, log) == 0, log.read_text()
    assert EventRecord.objects.get().published
    assert brokers.waiting(broker, "default") == 1


@pytest.mark.parametrize("protocol", ["redis", "amqp"])
def test_process_that_ends__does_not_wait_for_a_broker_that_hangs(
    process_env: dict[str, str], broker: Broker, log: Path, protocol: str
) -> None:
    with Proxy(brokers.port(broker)) as proxy:
        proxy.hang()
        assert run(process_env, ONE, log, TEST_BROKER_URL=f"{protocol}://127.0.0.1:{proxy.port}//") == 0
        assert proxy.connections
        assert proxy.answered == 0
    assert EventRecord.objects.count() == 1
