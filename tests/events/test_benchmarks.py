"""The benchmarks still run: with numbers so small that what they measure says nothing, but what they check does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.conftest import database_url

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]


def found(name: str, directory: Path, *options: str) -> dict[str, Any]:
    # A database of its own, on the server that these tests use.
    environment = {} if connection.vendor == "sqlite" else {"DATABASE_URL": database_url()}
    out = directory / "found.json"
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options, "--json", str(out)],
        cwd=ROOT,
        env=os.environ | {"VAR_DIR": str(directory), "DATABASE_URL": ""} | environment,
        capture_output=True,
        text=True,
        timeout=350,
        check=False,
    )
    assert out.exists(), done.stderr[-3000:]
    figures: dict[str, Any] = json.loads(out.read_text())["found"]
    return figures


def test_backlog__loses_nothing_and_runs_nothing_twice(tmp_path: Path) -> None:
    options = "--deliveries 600 --minutes 0.05 --frozen 0.5 --relays 2 --workers 2"
    figures = found("backlog", tmp_path, *options.split())
    assert figures["deliveries"] == 600
    assert figures["not done"] == figures["effects missing"] == figures["effects run twice, atomic"] == 0
    assert figures["messages published"] > 0


def test_memory__is_measured_of_each_process(tmp_path: Path) -> None:
    figures = found("memory", tmp_path, *["--deliveries", "1000", "--against", "100", "--waiting", "500"])
    assert figures["deliveries done"] >= 1000
    assert all(figures[f"{name}, RSS, times"] > 0 for name in ("worker", "relay", "emitter"))
