from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from django.conf import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from project.dev import matrix

DIRECTORY = Path(settings.BASE_DIR) / "requirements"


def pinned(name: str) -> dict[str, Requirement]:
    return parsed((DIRECTORY / name).read_text())


def parsed(text: str) -> dict[str, Requirement]:
    found = [Requirement(line) for line in text.splitlines() if line and not re.match(r"#|-r ", line)]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def is_wanted(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


@pytest.mark.parametrize("name", ["base.txt", "dev.txt", "bench.txt", "mysql.txt", "telemetry.txt"])
def test_requirements__each_names_one_version(name: str) -> None:
    assert all(re.fullmatch(r"==[\w.]+", str(one.specifier)) for one in pinned(name).values())


@pytest.mark.parametrize("name", ["base.txt", "dev.txt", "telemetry.txt"])
def test_requirements__what_a_package_needs_is_pinned_too(name: str) -> None:
    known = pinned("base.txt") | pinned(name)

    missing = {
        f"{package} needs {need.name}"
        for package, requirement in known.items()
        if is_wanted(requirement)
        for need in map(Requirement, requires(package) or [])
        if is_wanted(need) and canonicalize_name(need.name) not in known
    }
    assert missing == set()


def test_requirements__are_what_is_installed() -> None:
    every = pinned("base.txt") | pinned("dev.txt") | pinned("telemetry.txt")
    if pair := matrix.pair_here():
        every |= parsed(matrix.requirements(pair.django))
    wanted = {name: one for name, one in every.items() if is_wanted(one)}

    differing = {name for name, one in wanted.items() if not one.specifier.contains(installed(name))}
    assert differing == set(), "run `make setup`"


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "0"
