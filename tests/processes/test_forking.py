"""A worker's parent forks when a process of its pool has died: never in the middle of its threads' statements."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection

from tests.processes.conftest import PATIENCE, Process

pytestmark = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="SQLite alone keeps its locks in the memory of the process"
)


@pytest.mark.parametrize("thread", ["relay", "heartbeat"])
def test_fork__in_the_middle_of_a_threads_statement__leaves_the_child_no_lock_that_nobody_holds(
    thread: str, process_env: dict[str, str], tmp_path: Path
) -> None:
    forker = Process(process_env, tmp_path / "forker.log", "-m", "tests.processes.forker", thread)
    try:
        forker.process.wait(PATIENCE)
    finally:
        forker.kill()
    assert "the child writes" in forker.log.read_text()
