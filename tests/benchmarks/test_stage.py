"""What was measured is worth nothing where deliveries are missing or came twice: then it fails."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from benchmarks.cpu import used_by
from benchmarks.lineup import BASELINE, OURS, ROOT, SYNCHRONOUS, Subject
from benchmarks.rounds import measured
from benchmarks.rows.arriving import SOON, kept_up
from benchmarks.rows.row import Row
from benchmarks.stage import Stage, Wrong, stage

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def synchronous(tmp_path: Path) -> Iterator[Stage]:
    """Of receivers that run in the agent itself: no worker is needed to make a delivery."""
    with stage(SYNCHRONOUS, "sqlite", tmp_path / "stage", None) as made:
        made.patience = 0.2
        made.ask("save", model="Item", count=3)
        yield made


def test_check__all_deliveries_once_each(synchronous: Stage) -> None:
    synchronous.wait(3)
    synchronous.check(3)


def test_check__a_missing_delivery_fails(synchronous: Stage) -> None:
    with pytest.raises(Wrong, match="4 of 16 deliveries did not come"):
        synchronous.wait(4)
    with pytest.raises(Wrong, match="12 of 16 deliveries are recorded as done"):
        synchronous.check(4)


def test_check__a_repeated_delivery_fails(synchronous: Stage) -> None:
    synchronous.ledger.mark(2, 3)
    with pytest.raises(Wrong, match="0 are missing, 1 repeated"):
        synchronous.check(3)


def losing(stage: Stage, scale: float) -> NoReturn:
    stage.fail("4 of 16 deliveries did not come")


LOSING = Row(name="losing", title="", measure=losing, figures=())


@pytest.mark.parametrize("subject", [OURS, BASELINE])
def test_round__lost_deliveries_end_the_run(synchronous: Stage, subject: Subject) -> None:
    with pytest.raises(Wrong):
        measured(LOSING, replace(synchronous, subject=subject), 1.0)


def test_round__a_peer_that_loses_deliveries_is_left_out(
    synchronous: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured(LOSING, synchronous, 1.0) == []
    assert "LEFT OUT: synchronous on sqlite: 4 of 16" in capsys.readouterr().out


def test_clear__ids_begin_at_one_again(synchronous: Stage) -> None:
    synchronous.clear()
    assert synchronous.ledger.done() == 0
    [[id, _]] = synchronous.ask("pace", model="Item", count=1, rate=100)
    assert id == 1


def test_unpark__brings_the_messages_back_in_their_order(synchronous: Stage) -> None:
    client = synchronous.broker.client()
    for text in ("1", "2"):
        client.lpush("default", text)
    synchronous.ask("park")
    client.lpush("default", "3")
    synchronous.ask("park")
    synchronous.unpark()
    assert [client.rpop("default") for _ in range(4)] == [b"1", b"2", b"3", None]


def test_cpu__is_of_all_that_a_process_started() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(); input()"
    with subprocess.Popen(
        ["sh", "-c", f'{shlex.quote(sys.executable)} -c "{busy}"; true'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = used_by([process.pid])
        process.communicate("\n")
    assert 0.25 <= used < 5


def test_kept_up__nothing_left_soon_after_the_last_commit_is_the_rate_of_arrival() -> None:
    second = 10**9
    assert kept_up([1, second], [(1, 0), (2, second)], 80.0) == 80.0


def test_kept_up__what_is_left_then_was_a_backlog() -> None:
    late = 10**9 + SOON + 1
    assert kept_up([1, late], [(1, 0), (2, 10**9)], 80.0) == pytest.approx(1 / 1.25)


def test_bench__measures_checks_and_writes(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    options = "--rows drain-bulk,bytes --databases sqlite --subjects ours,baseline --rounds 1 --scale 0.02"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options.split(), "--json", str(out)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": ""},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    figures = {(f["row"], f["figure"]): f["subjects"] for f in json.loads(out.read_text())["figures"]}
    assert set(figures["drain-bulk", "rate"]) == set(figures["bytes", "single"]) == {"ours", "baseline"}
    assert all(one["median"] > 0 for one in figures["drain-bulk", "rate"].values())


def test_bench__an_unknown_row_is_answered_with_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rows", "speed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "speed: known are request," in done.stderr
