"""What a benchmark found: a table for the terminal, and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
from argparse import ArgumentParser
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {'sqlite_version()' if connection.vendor == 'sqlite' else 'version()'}")
        database = f"{connection.vendor} {cursor.fetchone()[0]}".split(" on ", maxsplit=1)[0]
    versions = {name: version(name) for name in ("django", "celery", "kombu", "redis")}
    return {
        "cores": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "database": database,
        **versions,
    }


def add_options(parser: ArgumentParser, name: str) -> None:
    parser.add_argument("--json", default=f"var/benchmarks/{name}.json", help="where the figures go too")


def tell(name: str, found: Mapping[str, Any], setting: Mapping[str, Any]) -> None:
    width = max(len(key) for key in found)
    print(f"\n{name}: " + ", ".join(f"{key} {value}" for key, value in setting.items()))
    for key, value in found.items():
        print(f"  {key:<{width}}  {_shown(value)}")
    path = ROOT / setting["json"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"setting": dict(setting), "found": dict(found)}, indent=2) + "\n")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if value < 10 else f"{value:,.1f}"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,}" if isinstance(value, int) else str(value)
