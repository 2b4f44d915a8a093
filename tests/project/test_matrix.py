from __future__ import annotations

import sys
from pathlib import Path

import pytest

from project.dev import matrix
from project.dev.matrix import Pair, find_python, pair_here, pairs, requirements, run

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_pairs__every_python_with_every_django_that_it_can_run() -> None:
    assert [(pair.python, pair.django) for pair in pairs() if pair.is_possible] == [
        ("3.11", "5.2"),
        ("3.12", "5.2"),
        ("3.12", "6.1"),
        ("3.13", "5.2"),
        ("3.13", "6.1"),
    ]


def test_pair__that_cannot_be__is_left_out_with_the_reason() -> None:
    assert run(Pair("3.11", "6.1"), []) == "left out: Django 6.1 needs Python 3.12"


def test_pair__here__is_the_one_whose_environment_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(Pair("3.12", "6.1").venv))
    assert pair_here() == Pair("3.12", "6.1")
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert pair_here() is None


def test_python__found_where_it_runs(tmp_path: Path) -> None:
    assert find_python(THIS, {}) == sys.executable
    # One of pyenv's that it can't run on this machine.
    broken = tmp_path / "versions" / "3.99.1" / "bin" / "python"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert find_python("3.99", {"PYENV_ROOT": str(tmp_path)}) is None
    broken.write_text("#!/bin/sh\necho 3.99\n")
    assert find_python("3.99", {"PYENV_ROOT": str(tmp_path)}) == str(broken)


def test_python__missing__is_named_and_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matrix, "PYTHONS", ("3.98",))
    assert matrix.main([]) == 1
    assert "MISSING: no Python 3.98 on this machine" in capsys.readouterr().out


def test_requirements__are_the_projects_but_for_django() -> None:
    text = requirements("6.1")
    assert [line for line in text.splitlines() if line.startswith(("Django=", "Django~"))] == [
        "Django~=6.1.0"
    ]
    assert "-r " not in text
    for line in ("celery==", "kombu==", "pytest==", "opentelemetry-sdk=="):
        assert line in text
