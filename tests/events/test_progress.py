"""A relay that wakes to a backlog says how far it is."""

from __future__ import annotations

import logging
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management.base import OutputWrapper
from django.core.management.color import no_style
from django.db import connection

from events.management.console import Console
from events.management.watching import line, pairs
from events.models import State
from events.operations.progress import Ahead, Progress, ahead
from project.dev.broker import Broker
from tests import brokers
from tests.events.ageing import old, store
from tests.processes.conftest import PATIENCE, ROOT

pytestmark = pytest.mark.django_db(transaction=True)


def seen(*samples: tuple[float, int, int, int]) -> Progress:
    progress = Progress()
    for at, events, waiting, deliveries in samples:
        progress.add(at, Ahead(events=events, waiting=waiting, deliveries=deliveries))
    return progress


def test_ahead__counts_what_is_due_and_what_that_will_need() -> None:
    store(3, next_at=old(), states=())
    store(1, next_at=old(-1), states=())
    for event in store(2, states=(State.WAITING, State.SENT)):
        event.deliveries.update(next_at=old())
    assert ahead(["default"]) == Ahead(events=3, waiting=2, deliveries=2 + 3 * 2)


def test_progress__of_the_most_there_was() -> None:
    progress = seen((0, 500, 0, 1000), (10, 100, 300, 500))
    assert (progress.share, progress.rate, progress.left) == (0.5, 50, 10)
    assert line(progress, 120) == (
        "[############............]  50%  100 events to examine, 300 deliveries waiting, 50/s, 10 s left"
    )
    assert pairs(progress) == "events_to_examine=100 deliveries_waiting=300 rate=50/s left=10s"


@pytest.mark.parametrize("width", [150, 103, 102, 79, 60])
def test_progress__fits(width: int) -> None:
    progress = seen((0, 40_000, 0, 80_000), (10, 20_000, 1_000, 41_000))
    drawn = line(progress, width)
    assert len(drawn) <= width
    assert drawn.endswith("3,900/s, 11 s left")
    assert re.search(r"\b49%  20,000 events( to examine)?, 1,000 deliveries", drawn)
    assert drawn.startswith("[") is (width > 60)


def test_progress__more_arrive_than_are_sent__says_so() -> None:
    progress = seen((0, 0, 1000, 1000), (10, 0, 2000, 2000))
    assert progress.left is None
    assert line(progress, 120).endswith("2,000 deliveries waiting, growing by 100/s")


def test_progress__first_look__knows_no_rate() -> None:
    progress = seen((0, 10, 0, 20))
    assert line(progress, 120).endswith("10 events to examine, 0 deliveries waiting")
    assert pairs(progress).endswith("rate=? left=?")


def test_progress__rate_is_of_the_last_half_minute() -> None:
    progress = seen((0, 0, 5000, 5000), (100, 0, 1000, 1000), (110, 0, 900, 900))
    assert progress.rate == 10


def test_progress__a_new_backlog_begins_anew() -> None:
    progress = seen((0, 0, 100, 100), (1, 0, 0, 0), (2, 0, 10, 10))
    assert progress.share == 0


@pytest.mark.parametrize("before", [0, 7])
def test_progress__a_new_backlog__knows_no_rate_before_the_second_look(before: int) -> None:
    samples = [(0, 0, before, before), (1, 0, 596_300, 596_300)]
    assert pairs(seen(*samples)).endswith("rate=? left=?")
    assert seen(*samples, (2, 0, 596_200, 596_200)).rate == 100


class Terminal(StringIO):
    """As wide as those are that don't say."""

    def isatty(self) -> bool:
        return True

    def rows(self) -> list[str]:
        """What is to be seen on it."""
        return [shown(row, 80) for row in self.getvalue().split("\n")]


def shown(row: str, width: int) -> str:
    seen = ""
    for drawn in row.split("\r"):
        text, cleared, rest = drawn.partition("\x1b[K")
        assert len(text) < width, "it would go on in the next row"
        seen = text + (rest if cleared else seen[len(text) :])
    return seen


def drawn_on(terminal: Terminal) -> Console:
    err = OutputWrapper(terminal)
    return Console(OutputWrapper(StringIO()), err, no_style())


def test_progress__stays_in_its_row() -> None:
    terminal = Terminal()
    console = drawn_on(terminal)
    for text in ("x" * 100, "y" * 50):
        console.progress(text)
    assert terminal.rows() == ["y" * 50]
    console.end_progress()
    assert terminal.rows() == [""]


def test_progress__what_is_logged_meanwhile__has_a_row_of_its_own() -> None:
    terminal = Terminal()
    console, logger = drawn_on(terminal), logging.getLogger("tests.logged_meanwhile")
    handler = logging.StreamHandler(terminal)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    try:
        console.progress("[####] 10%")
        logger.warning("a")
        console.progress("[#####] 20%")
        assert terminal.rows() == ["WARNING a", "[#####] 20%"]
        console.end_progress()
        logger.warning("b")
    finally:
        logger.removeHandler(handler)
    assert terminal.rows() == ["WARNING a", "WARNING b", ""]
    assert terminal.getvalue().endswith("\x1b[KWARNING b\n")


@pytest.fixture
def backlog(broker: Broker) -> Iterator[None]:
    """Nobody serves its receivers: the deliveries stay waiting."""
    brokers.empty(broker)
    store(1500, next_at=old(), states=())
    yield
    connection.close()


COMMAND = (sys.executable, "manage.py", "events", "relay")


@pytest.mark.parametrize("columns", [120, 80])
def test_relay__on_a_terminal__draws_its_progress(
    process_env: dict[str, str], backlog: None, columns: int
) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    relay = subprocess.Popen(COMMAND, cwd=ROOT, env=process_env, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    try:
        pattern = rb"\r\[\.+\].*?  (\d|,)+ events[^\r]*?, 3,000 deliveries[^\r]*?\x1b\[K"
        drawn = read_until(ours, pattern)
        assert all(len(text) < columns for text in re.findall(rb"\r([^\r]*?)\x1b\[K", drawn))
    finally:
        relay.send_signal(signal.SIGTERM)
        rest = read_until(ours, rb"\Z")
        assert relay.wait(PATIENCE) == 0, rest
        os.close(ours)


def read_until(terminal: int, pattern: bytes) -> bytes:
    """Whatever is drawn until then; until the program ends, where nothing matches."""
    drawn = b""
    while not (pattern != rb"\Z" and re.search(pattern, drawn)):
        try:
            some = os.read(terminal, 4096)
        except OSError:
            # The other end is closed.
            break
        drawn += some
    else:
        return drawn
    assert pattern == rb"\Z", drawn.decode()
    return drawn


def test_relay__elsewhere__logs_its_progress(process_env: dict[str, str], backlog: None) -> None:
    relay = subprocess.Popen(
        COMMAND, cwd=ROOT, env=process_env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert relay.stderr is not None
    try:
        for said in relay.stderr:
            if "events_to_examine=" in said:
                break
        assert re.search(r"events_to_examine=\d+ deliveries_waiting=\d+ rate=\? left=\?", said), said
        assert "\r" not in said
    finally:
        relay.send_signal(signal.SIGTERM)
        relay.communicate(timeout=PATIENCE)
    assert relay.returncode == 0
