"""A benchmark that makes a database and a broker of its own, run as a row."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.lineup import ROOT
from benchmarks.stage import Stage


def found(stage: Stage, name: str, **options: int) -> dict[str, Any]:
    """What `benchmarks.NAME` finds with these options, on the stage's own server."""
    out = stage.directory / f"{name}.json"
    given = [each for option, value in options.items() for each in (f"--{option}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--json", str(out), *given],
        cwd=ROOT,
        env=stage.environment | ({} if stage.server else {"DATABASE_URL": ""}),
        check=False,
    )
    if not out.exists():
        stage.fail(f"benchmarks.{name} ended with {done.returncode}")
    told: dict[str, Any] = json.loads(out.read_text())["found"]
    return told
