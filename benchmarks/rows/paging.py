"""The admin's pages over a million deliveries: `benchmarks.pages`, as a row."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from benchmarks.figures import Figure, Goal, Sample
from benchmarks.lineup import ROOT
from benchmarks.pages import GOAL
from benchmarks.rows.row import Row, some
from benchmarks.stage import Stage

DELIVERIES = 1_000_000
PAGES = ("health", "flow map", "deliveries", "deliveries, dead letters", "events", "an event", "failures")


def paging(stage: Stage, scale: float) -> Mapping[str, Sample]:
    out = stage.directory / "pages.json"
    # It makes a database and a broker of its own, on the same server.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.pages", "--json", str(out)),
            *("--deliveries", str(some(DELIVERIES, scale, 4))),
        ],
        cwd=ROOT,
        env=stage.environment | ({} if stage.server else {"DATABASE_URL": ""}),
        check=False,
    )
    if not out.exists():
        stage.fail(f"benchmarks.pages ended with {done.returncode}")
    found = json.loads(out.read_text())["found"]
    return {name: Sample(found[f"{name}, ms"]) for name in PAGES}


ROWS = (
    Row(
        name="pages",
        title="the admin over 1,000,000 deliveries",
        measure=paging,
        figures=tuple(
            Figure(
                name=name,
                title=name,
                unit="ms",
                goals={"postgresql": Goal(at_most=GOAL, unit="ms")},
                is_ratio=True,
            )
            for name in PAGES
        ),
        subjects=("ours",),
        rounds=1,
    ),
)
