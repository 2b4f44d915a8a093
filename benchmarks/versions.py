"""Of everything that has a part in a figure."""

from __future__ import annotations

import json
import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from benchmarks.lineup import Subject
from project.dev.broker import choose_server
from project.dev.postgres import PostgresError, find_programs

_PACKAGES = ("django", "celery", "kombu", "redis", "hiredis", "psycopg", "django-celery-results")
_ASK = """
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def versions(subjects: Iterable[Subject]) -> dict[str, str]:
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version} | _servers()
    for subject in subjects:
        found |= of_packages(subject.python, (*_PACKAGES, subject.package))
    return found


def of_packages(python: Path, names: Iterable[str]) -> dict[str, str]:
    """As that Python has them installed."""
    shown = subprocess.run([python, "-c", _ASK, *names], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(shown.stdout)
    return found


def _servers() -> dict[str, str]:
    broker, _ = choose_server(os.environ)
    found = {"broker": _number(broker)}
    # Where there is none, its rows say so.
    with suppress(PostgresError):
        found["postgresql"] = _number(str(find_programs() / "postgres"))
    return found


def _number(program: str) -> str:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"\d+(\.\d+)+", shown)
    return number[0] if number else shown.strip()
