"""`make readme`, too: the table of results in README.md, from `benchmarks/results.json`; and the chart beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.chart import CHART, drawn
from benchmarks.figures import BASELINE, OURS
from benchmarks.results import RESULTS
from benchmarks.table import number
from project.dev.readme import README, with_part

PART = "benchmarks"
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def part(found: Mapping[str, Any]) -> str:
    chart = "![Deliveries a second and time added to a request, against all peers](benchmarks/results.svg)"
    return "\n".join([chart, "", *table(found), "", circumstances(found), ""])


def circumstances(found: Mapping[str, Any]) -> str:
    about = found["about"]
    versions = about["versions"]
    length = "" if about["scale"] == 1 else f" of {about['scale']:g} the usual length"
    return (
        f"Medians of {about['rounds']} interleaved rounds{length}; ratios are to {found['subjects'][BASELINE]}, with "
        f"the same database, broker, result backend and pool. {about['at'][:10]}, commit {about['commit']}, "
        f"{about['machine']}, load {about['load']}; Python {versions['python']}, Django {versions['django']}."
    )


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """What has a goal."""
    yield (
        "| what | database | "
        + "".join(f"{found['subjects'][one]} | " for one in _shown(found))
        + "ratio | goal | |"
    )
    yield "| --- | --- |" + " ---: |" * (len(_shown(found)) + 1) + " --- | --- |"
    for figure in found["figures"]:
        if figure["goal"] and figure["met"] is not None:
            yield "| " + " | ".join(cells(figure, _shown(found), found["about"]["commit"])) + " |"


def _shown(found: Mapping[str, Any]) -> list[str]:
    return [name for name in found["subjects"] if name != "synchronous"]


def cells(figure: Mapping[str, Any], shown: Sequence[str], commit: str) -> list[str]:
    ours = figure["subjects"][OURS]
    ratio = ours["median"] if figure["is_ratio"] else ours["ratio"]
    return [
        f"{figure['row_title']}: {figure['title']}, {figure['unit']}{_apart(figure, commit)}",
        _NAMES[figure["database"]],
        *(number(figure["subjects"][one]["median"]) if one in figure["subjects"] else "" for one in shown),
        f"{ratio:.3g} ×",
        figure["goal"],
        "met" if figure["met"] else "**missed**",
    ]


def _apart(figure: Mapping[str, Any], commit: str) -> str:
    """Of a row that was measured by itself, of another commit."""
    about = figure.get("about", {"commit": commit})
    return "" if about["commit"] == commit else f" ({about['at'][:10]}, commit {about['commit']})"


def main() -> None:
    found = json.loads(RESULTS.read_text())
    CHART.write_text(drawn(found))
    README.write_text(with_part(README.read_text(), PART, part(found)))


if __name__ == "__main__":
    main()
