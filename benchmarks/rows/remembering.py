"""Memory of processes after a million deliveries against after ten thousand: `benchmarks.memory`, as a row."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from benchmarks.figures import Figure, Goal, Sample
from benchmarks.lineup import ROOT
from benchmarks.rows.row import Row, some
from benchmarks.stage import Stage

DELIVERIES, AGAINST = 1_000_000, 10_000


def remembering(stage: Stage, scale: float) -> Mapping[str, Sample]:
    out = stage.directory / "memory.json"
    # It makes a database and a broker of its own, on the same server.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.memory", "--json", str(out)),
            *("--deliveries", str(some(DELIVERIES, scale)), "--against", str(some(AGAINST, scale))),
            *("--patience", "36000"),
        ],
        cwd=ROOT,
        env=stage.environment | ({} if stage.server else {"DATABASE_URL": ""}),
        check=False,
    )
    if not out.exists():
        stage.fail(f"benchmarks.memory ended with {done.returncode}")
    found = json.loads(out.read_text())["found"]
    return {name: Sample(found[f"{name}, RSS, times"]) for name in ("worker", "relay")}


ROWS = (
    Row(
        name="memory",
        title="memory, 10,000 against 1,000,000 deliveries",
        measure=remembering,
        figures=tuple(
            Figure(name=name, title=title, unit="×", goals={"": Goal(at_most=1.1)}, is_ratio=True)
            for name, title in (("worker", "worker (solo, not recycled)"), ("relay", "relay"))
        ),
        subjects=("ours",),
        usual=False,
        rounds=1,
    ),
)
