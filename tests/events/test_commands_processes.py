"""The commands as a person starts them: real processes, real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from events.fast_path import fast_path
from events.models import Delivery, EventRecord, State
from tests.events.operating import HEARING_CTRL_C
from tests.shop.models import Item

pytestmark = pytest.mark.django_db(transaction=True)

# Seconds after which waiting has failed. It decides nothing else.
PATIENCE = 120
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(process_env: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        command = [*HEARING_CTRL_C, sys.executable, "manage.py", "events", *arguments]
        env = process_env | environment
        process = subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {PATIENCE} s for {what}")
        time.sleep(0.05)


def deliver(receiver: str) -> None:
    """As a worker records it."""
    Item.objects.create(title="x")
    event = EventRecord.objects.latest("pk")
    Delivery.objects.create(event=event, receiver=receiver, queue="default", state=State.DONE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_relay__works_until_a_signal__and_ends_cleanly(start: Start, number: signal.Signals) -> None:
    with fast_path.suspended():
        Item.objects.create(title="left to the relay")
    relay = start("relay")
    assert relay.stdout is not None
    assert "The relay runs on default" in relay.stdout.readline()
    wait_for(
        lambda: Delivery.objects.filter(state=State.WAITING).count() == 2, "the relay to record deliveries"
    )
    assert EventRecord.objects.get().next_at is None
    relay.send_signal(number)
    out, err = relay.communicate(timeout=PATIENCE)
    assert relay.returncode == 0, err
    assert "The relay has stopped" in out
    assert "Traceback" not in err


def test_tail__ctrl_c__ends_cleanly(start: Start) -> None:
    deliver("a.receiver")
    tail = start("tail")
    assert tail.stdout is not None
    assert "a.receiver" in tail.stdout.readline()
    tail.send_signal(signal.SIGINT)
    out, err = tail.communicate(timeout=PATIENCE)
    assert (tail.returncode, err) == (0, "")
    assert "Next: manage.py events status" in out


def test_error__is_one_line_and_a_status(start: Start) -> None:
    failing = start("trace", "4711")
    out, err = failing.communicate(timeout=PATIENCE)
    assert failing.returncode == 1
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("CommandError: Nothing of id 4711 is in the outbox of")


def test_output__whose_reader_has_enough__ends_quietly(start: Start) -> None:
    deliver("first")
    tail = start("tail")
    assert tail.stdout is not None
    assert tail.stderr is not None
    assert "first" in tail.stdout.readline()
    tail.stdout.close()
    deliver("second")
    assert tail.wait(PATIENCE) == 0
    assert tail.stderr.read() == ""


def test_no_subcommand__says_which_there_are(start: Start) -> None:
    process = start()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, err
    assert "the following arguments are required: SUBCOMMAND" in err


def test_options_of_django__also_at_the_end(start: Start) -> None:
    process = start("list", "--no-color", "--settings", "tests.settings", "--traceback", "-v", "0")
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "mail_save" in out


def test_doctor__database_away__is_a_finding_like_others(start: Start, tmp_path: Path) -> None:
    doctor = start("doctor", DATABASE_URL=f"sqlite:///{tmp_path}/no/such/directory/db.sqlite3")
    out, err = doctor.communicate(timeout=PATIENCE)
    assert doctor.returncode == 1
    assert "the broker answers" in out
    assert "database 'default' does not answer" in out
    assert err.splitlines()[-1].startswith("CommandError: 1 error"), err
    assert "the broker answers" in out
    assert err.splitlines()[-1].startswith("CommandError: 1 error"), err
    assert "Traceback" not in err


def test_status__database_away__is_one_line(start: Start, tmp_path: Path) -> None:
    status = start("status", DATABASE_URL=f"sqlite:///{tmp_path}/no/such/directory/db.sqlite3")
    _, err = status.communicate(timeout=PATIENCE)
    assert status.returncode == 1
    assert err.splitlines()[-1].startswith("CommandError: The database says: unable to open database file.")
    assert "Traceback" not in err
