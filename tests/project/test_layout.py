from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PACKAGES = ("events", "library", "project", "workers")


def modules(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from (ROOT / package).rglob("*.py")


@pytest.mark.parametrize(
    "name", ["manage.py", "Makefile", "docker-compose.yml", "requirements", "tests", *PACKAGES]
)
def test_layout__is_where_a_newcomer_looks_for_it(name: str) -> None:
    assert (ROOT / name).exists()


def test_layout__every_directory_of_modules_is_a_package() -> None:
    without = {
        path.parent for path in modules(*PACKAGES, "tests") if not (path.parent / "__init__.py").exists()
    }

    assert without == set()


def test_layout__no_module_is_too_long_to_be_read_at_once() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules(*PACKAGES)}

    assert {path: lines for path, lines in lengths.items() if lines > 300} == {}
