from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.ledger import EVENTS, RECEIVERS, Count, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "ledger")


def mark_all(ledger: Ledger, events: int) -> None:
    for event in range(1, events + 1):
        for receiver in range(RECEIVERS):
            ledger.mark(receiver, event)


def test_ledger__each_once_is_all_there(ledger: Ledger) -> None:
    mark_all(ledger, 3)
    assert ledger.done() == 12
    assert ledger.count(12) == Count(missing=0, repeated=0)


def test_ledger__one_that_did_not_come_is_missing(ledger: Ledger) -> None:
    mark_all(ledger, 3)
    assert ledger.count(16) == Count(missing=4, repeated=0)


def test_ledger__one_that_came_twice_makes_up_for_none_that_is_missing(ledger: Ledger) -> None:
    mark_all(ledger, 3)
    ledger.mark(0, 1)
    assert ledger.count(13) == Count(missing=1, repeated=1)


def test_ledger__another_process_that_opens_it_writes_into_the_same(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "ledger")
    Ledger(tmp_path / "ledger").mark(3, EVENTS - 1)
    assert ledger.done() == 1


def test_ledger__knows_when_each_began(ledger: Ledger) -> None:
    before = time.perf_counter_ns()
    mark_all(ledger, 2)
    starts = ledger.starts()
    assert len(starts) == 8
    assert before <= starts[0] <= starts[-1] <= time.perf_counter_ns()
    assert sorted([*ledger.starts_of(1), *ledger.starts_of(2)]) == starts


def test_ledger__cleared_is_as_new(ledger: Ledger) -> None:
    mark_all(ledger, 2)
    ledger.clear()
    assert ledger.done() == 0
    assert ledger.starts() == []


def test_ledger__an_event_it_has_no_room_for_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(IndexError):
        ledger.mark(RECEIVERS - 1, EVENTS)
