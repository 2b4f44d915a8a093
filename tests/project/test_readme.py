from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class

from benchmarks.chart import CHART, drawn
from benchmarks.readme import PART, part
from benchmarks.results import RESULTS
from project.dev.readme import README, flow_table, with_part, with_table

ROOT = Path(settings.BASE_DIR)
DOCUMENTS = [README, *sorted((ROOT / "docs").rglob("*.md"))]


def test_table__is_what_the_code_says() -> None:
    text = README.read_text()
    assert with_table(text, flow_table()) == text, "run `make readme`"


def test_benchmarks__are_those_of_the_results() -> None:
    found = json.loads(RESULTS.read_text())
    text = README.read_text()
    assert with_part(text, PART, part(found)) == text, "run `make readme`"
    assert CHART.read_text() == drawn(found), "run `make readme`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_document__names_only_files_that_exist(document: Path) -> None:
    text = document.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []
    paths = re.findall(r"\b(?:events|library|workers|project|tests)/[\w/]*\.?\w+(?:\.py)?", text)
    named = {path for path in paths if "/" in path and (path.endswith(".py") or "." not in path)}
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_commands__all_are_named() -> None:
    assert get_commands()["events"] == "events"
    parser = load_command_class("events", "events").create_parser("manage.py", "events")
    choices = next(action.choices for action in parser._actions if action.dest == "subcommand")
    assert choices is not None
    text = README.read_text()
    listed = re.search(r"lists all of them: `([^`]+)`", text)
    assert listed is not None
    assert set(listed[1].split()) == set(choices)


def test_make_targets__exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^\$ |`)make ([a-z-]+)", README.read_text(), re.MULTILINE))
    assert named <= targets
