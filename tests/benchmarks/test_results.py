from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.chart import bar_length, drawn, panels
from benchmarks.figures import Figure, Goal, Sample
from benchmarks.lineup import BASELINE, OURS, SUBJECTS
from benchmarks.readme import part
from benchmarks.results import collected, merged, write
from benchmarks.rounds import Plan, Taken
from benchmarks.rows.all import ROWS
from benchmarks.rows.paging import PAGES
from benchmarks.table import lines, number

ABOUT = {
    "at": "2026-01-02T03:04+00:00",
    "commit": "abc",
    "machine": "2 cores",
    "load": 0.1,
    "rounds": 2,
    "scale": 1.0,
    "versions": {"python": "3.11", "django": "5.2", "celery": "5.7.0"},
}


def taken(row: str, ours: float, baseline: float, database: str = "sqlite") -> Taken:
    """Two rounds of that row in which every figure is the same."""
    names = [figure.name for figure in ROWS[row].figures]
    samples = {
        subject: [{name: Sample(value, [value]) for name in names}] * 2
        for subject, value in (("ours", ours), ("baseline", baseline))
    }
    return Taken(row=ROWS[row], database=database, samples=samples)


def results(*rows: Taken) -> dict[str, Any]:
    plan = Plan(rows=[], databases=["sqlite"], subjects=[OURS, BASELINE], rounds=2, scale=1.0)
    return collected(plan, rows, ABOUT)


def test_results__say_what_was_measured_and_whether_it_is_what_was_to_be_reached() -> None:
    rate, _ = results(taken("drain-bulk", 5000, 400))["figures"]
    assert rate["met"] is True
    assert rate["goal"] == "≥ 10 ×"
    assert rate["subjects"]["ours"] | {"median": 5000.0, "ratio": 12.5} == rate["subjects"]["ours"]


def test_results__a_goal_that_is_missed_is_said_to_be() -> None:
    rate, _ = results(taken("drain-bulk", 3999, 400))["figures"]
    assert rate["met"] is False


def test_results__rows_measured_by_themselves_join_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write(path, merged(path, results(taken("latency", 4, 4), taken("drain-bulk", 5000, 400))))
    again = results(taken("drain-bulk", 6000, 400)) | {"about": ABOUT | {"commit": "def"}}
    write(path, merged(path, again))

    found = json.loads(path.read_text())
    by_row = {figure["row"]: figure for figure in found["figures"] if figure["figure"] in {"rate", "p99"}}
    assert list(by_row) == ["drain-bulk", "latency"]
    assert by_row["drain-bulk"]["subjects"]["ours"]["median"] == 6000
    assert by_row["latency"]["about"]["commit"] == "abc"
    assert found["about"]["commit"] == "def"


def test_table__has_a_line_for_each_subject_and_the_verdict_in_ours() -> None:
    text = lines(taken("drain-bulk", 4000, 400))
    ours, _ = [line for line in text if line.strip().startswith("ours")]
    baseline, _ = [line for line in text if line.strip().startswith("baseline")]
    assert re.split(r"\s{2,}", ours.strip()) == [
        "ours",
        "4,000",
        "4,000",
        "4,000–4,000",
        "10 ×",
        "≥ 10 ×",
        "met",
    ]
    assert "met" not in baseline


@pytest.mark.parametrize(("value", "shown"), [(12345.6, "12,346"), (99.94, "99.9"), (0.03217, "0.0322")])
def test_number__has_three_digits_or_all_before_the_point(value: float, shown: str) -> None:
    assert number(value) == shown


def test_readme__has_a_line_for_each_figure_with_a_goal() -> None:
    text = part(results(taken("request", 300, 2000), taken("drain-bulk", 3999, 400)))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 2
    assert table[2].endswith("| SQLite | 300 | 2,000 | 0.15 × | ≤ 0.25 × (aim: 0.1 ×) | met |")
    assert table[3].endswith("| **missed** |")
    assert len({line.count("|") for line in table}) == 1


def test_readme__says_where_a_run_was_shorter_than_it_should_be() -> None:
    found = results(taken("request", 300, 2000))
    assert "2 interleaved rounds; ratios" in part(found)
    assert "2 interleaved rounds of 0.2 the usual length; ratios" in part(
        found | {"about": ABOUT | {"scale": 0.2}}
    )


def test_chart__has_a_bar_for_each_subject_the_best_first() -> None:
    found = results(taken("drain-bulk", 4000, 400), taken("request", 300, 2000))
    drain, request = panels(found)
    assert [name for name, _, _ in drain.bars] == ["ours", "baseline"]
    assert [name for name, _, _ in request.bars] == ["ours", "baseline"]

    picture = ElementTree.fromstring(drawn(found))  # noqa: S314 -- our own
    bars = picture.findall("{http://www.w3.org/2000/svg}rect")
    assert [bar.get("class") for bar in bars] == ["bar ours", "bar"] * 2
    assert int(bars[0].get("width", 0)) == 10 * int(bars[1].get("width", 0))


def test_chart__stays_inside_its_width() -> None:
    assert bar_length(1, 0) == bar_length(-3, 10) == 1
    assert bar_length(10, 10) > bar_length(9, 10)


def test_rows__each_names_subjects_that_there_are() -> None:
    assert {name for row in ROWS.values() for name in row.subjects} <= set(SUBJECTS)


def test_figures__no_row_has_two_of_one_name() -> None:
    for row in ROWS.values():
        names = [figure.name for figure in row.figures]
        assert len(names) == len(set(names)), row.name


def test_goals__are_those_that_were_set() -> None:
    """They are not to be lowered to be met."""
    found = {
        (row.name, figure.name, database): str(goal)
        for row in ROWS.values()
        for figure in row.figures
        for database, goal in figure.goals.items()
    }
    assert found == {
        ("request", "added", ""): "≤ 0.25 × (aim: 0.1 ×)",
        ("cpu", "single-python", ""): "≤ 0.5 ×",
        ("cpu", "loop-python", ""): "≤ 0.5 ×",
        ("cpu", "bulk-python", ""): "≤ 0.1 ×",
        ("bulk-save", "added", ""): "≤ 0.03 ×",
        ("drain-bulk", "rate", ""): "≥ 10 ×",
        ("drain-single", "rate", ""): "≥ 5 ×",
        ("arrival", "rate", ""): "≥ 1 ×",
        ("arrival", "p50", ""): "≤ 1 ×",
        ("arrival", "p99", ""): "≤ 1.5 ×",
        ("drain-rows", "rate", ""): "≥ 10 ×",
        ("drain-loose", "rate", "sqlite"): "≥ 2 ×",
        ("drain-loose", "rate", "postgresql"): "≥ 1.2 ×",
        ("latency", "p50", ""): "≤ 1 ×",
        ("latency", "p99", ""): "≤ 1.5 ×",
        ("unfinished", "emit-times", ""): "≤ 1.2 ×",
        ("unfinished", "emit-cpu-times", ""): "≤ 1.2 ×",
        ("unfinished", "deliver-times", ""): "≤ 1.2 ×",
        ("memory", "worker", ""): "≤ 1.1 ×",
        ("memory", "relay", ""): "≤ 1.1 ×",
        ("bytes", "bulk", ""): "≤ 0.5 ×",
        ("bytes", "single", ""): "≤ 1 ×",
        **{("pages", page, "postgresql"): "≤ 300 ms" for page in PAGES},
    }


def test_figure__one_without_a_goal_has_no_verdict() -> None:
    assert Figure(name="a", title="", unit="", goals={"sqlite": Goal(at_most=1)}).goal("postgresql") is None
