from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.conftest import Start, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_worker__shows_signs_of_life_while_its_loop_turns(start_worker: Start, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    start_worker(ALIVE_FILE=str(alive))

    wait_for(alive.exists, "a first sign of life")
    first = alive.stat().st_mtime_ns
    wait_for(lambda: alive.stat().st_mtime_ns > first, "another")
