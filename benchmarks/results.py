"""`results.json`: all that was measured, where and of what, for the README and for comparison."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import OURS, Summary, summarise_all, verdict
from benchmarks.lineup import DATABASES, ROOT, Subject
from benchmarks.rounds import Plan, Taken
from benchmarks.rows.all import ROWS

RESULTS = ROOT / "benchmarks" / "results.json"


def collected(plan: Plan, taken: Sequence[Taken], about: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "about": about,
        "subjects": {subject.name: _titled(subject, about["versions"]) for subject in plan.subjects},
        "figures": [figure for one in taken for figure in figures(one)],
    }


def about(plan: Plan, versions: Mapping[str, str]) -> dict[str, Any]:
    """To be asked before the run: then the load is what others do."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": commit(),
        "machine": f"{os.cpu_count()} cores, {cpu_model()}, {memory():.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[1], 1),
        "rounds": plan.rounds,
        "scale": plan.scale,
        "versions": dict(versions),
    }


def _titled(subject: Subject, versions: Mapping[str, str]) -> str:
    version = versions.get(subject.package, "")
    return subject.title if subject.name == OURS else f"{subject.title} {version}".strip()


def figures(taken: Taken) -> list[dict[str, Any]]:
    """Of one row, in order."""
    return [
        {
            "row": taken.row.name,
            "row_title": taken.row.title,
            "database": taken.database,
            "figure": figure.name,
            "title": figure.title,
            "unit": figure.unit,
            "goal": str(figure.goal(taken.database) or ""),
            "is_ratio": figure.is_ratio,
            "met": verdict(figure, taken.database, found[OURS]) if OURS in found else None,
            "subjects": {name: _rounded(summary) for name, summary in found.items()},
        }
        for figure in taken.row.figures
        for found in [summarise_all(figure, taken.samples)]
        if found
    ]


def _rounded(summary: Summary) -> dict[str, Any]:
    return {
        name: float(f"{value:.5g}") if isinstance(value, float) else value
        for name, value in asdict(summary).items()
    }


def write(path: Path, found: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def merged(path: Path, new: Mapping[str, Any]) -> Mapping[str, Any]:
    """With those there that were not measured again: rows can be run one at a time. These keep their `about`."""
    if not path.exists():
        return new
    old = json.loads(path.read_text())
    again = {_key(figure) for figure in new["figures"]}
    kept = [{"about": old["about"]} | figure for figure in old["figures"] if _key(figure) not in again]
    return {
        "about": new["about"],
        "subjects": old["subjects"] | new["subjects"],
        "figures": sorted([*kept, *new["figures"]], key=_place),
    }


def _place(figure: Mapping[str, Any]) -> tuple[int, int]:
    return list(ROWS).index(figure["row"]), DATABASES.index(figure["database"])


def _key(figure: Mapping[str, Any]) -> tuple[str, str, str]:
    return figure["row"], figure["database"], figure["figure"]


def commit() -> str:
    """With a + where the files are not what was committed."""
    shown = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],  # noqa: S607 -- found on PATH, as a user's shell does
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout.strip() or "unknown"


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
