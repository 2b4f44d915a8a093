"""Much at once, and large: no process holds more of it than it needs, and nothing is lost.

Bounds on memory are generous: they are several times what was measured, and a fraction of what it takes to hold all.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import Count

from events.models import Delivery, EventRecord, State
from tests.processes.conftest import PATIENCE, ROOT, Process, Start, StartRelay, wait_for
from tests.shop.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)

MEGABYTE = 1_000_000


def emit(env: dict[str, str], *arguments: object) -> float:
    """In a process of its own; the MiB it took."""
    command = [sys.executable, "-m", "tests.processes.heavy", *map(str, arguments)]
    done = subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE * 2, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return float(done.stdout)


def peak(process: Process) -> float:
    """MiB resident at most, until now."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def all_done(count: int) -> bool:
    return Delivery.objects.filter(state=State.DONE).count() == count


def assert_once_each(count: int) -> None:
    assert Effect.objects.count() == count
    assert Effect.objects.values("receiver", "key").annotate(n=Count("pk")).filter(n__gt=1).count() == 0


def test_transaction_of_many_saves__takes_no_more_memory_than_one_of_fewer(
    process_env: dict[str, str],
) -> None:
    few = emit(process_env, "saves", 3_000)
    many = emit(process_env, "saves", 20_000)
    # 17,000 events more, of 1.5 KB each and more: 25 MB, were they kept.
    assert many - few < 10, f"{few} MiB for 3,000 saves, {many} MiB for 20,000"
    assert EventRecord.objects.count() == 23_000 + 2


def test_many_large_envelopes__neither_emitter_nor_relay_nor_worker_holds_them_all(
    process_env: dict[str, str], start_worker: Start, start_relay: StartRelay
) -> None:
    count = 300
    # 300 MB, and twice that once they are parsed: 10 to 40 were measured.
    assert emit(process_env, "essays", count, "--characters", MEGABYTE) < 100
    relay = start_relay()
    before_relay = peak(relay)
    due = EventRecord.objects.filter(next_at__isnull=False)
    wait_for(lambda: not due.exists(), "each event to be examined", log=relay.log)
    worker = start_worker("-P", "solo", EVENTS_RELAY="off")
    before_worker = peak(worker)
    # Two receivers have each: one in chunks, the other one by one.
    wait_for(lambda: all_done(2 * (count + 1)), "every delivery", log=relay.log)
    assert_once_each(2 * (count + 1))
    chunked = Delivery.objects.filter(receiver__endswith="measure_essay")
    # One message of all, beside what the emitter published: its first event, and its transaction's first flush.
    assert chunked.values("message_id").distinct().count() <= 3
    assert peak(worker) - before_worker < 100
    assert peak(relay) - before_relay < 30


@pytest.mark.parametrize("what", ["told", "essays"])
def test_envelope_of_50_mb__arrives_whole(
    what: str, process_env: dict[str, str], start_worker: Start, start_relay: StartRelay
) -> None:
    size = 50 * MEGABYTE
    # Its text, its JSON, the statement with it: 200 to 300 MB were measured of the emitter, 100 to 150 of the worker.
    assert emit(process_env, what, 1, "--characters", size) < 400
    worker = start_worker("-P", "solo", EVENTS_RELAY="off")
    before_worker = peak(worker)
    relay = start_relay()
    before_relay = peak(relay)
    wait_for(lambda: all_done(2 if what == "told" else 4), "every delivery", log=relay.log)
    assert set(Effect.objects.values_list("note", flat=True)) == {"10", f"{size}"}
    assert peak(worker) - before_worker < 400
    # It asks for none of it; but SQLite makes a row anew to change a time in it.
    assert peak(relay) - before_relay < (250 if connection.vendor == "sqlite" else 30)
