"""`make readme`: the table of signals, receivers and effects in README.md, from the code as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"


def flow_table() -> str:
    """What `manage.py events flow --format markdown` prints, under the project's own settings."""
    # A process of its own: under a test's settings the receivers of the tests would be in it.
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DEBUG": "on",
        "DATABASE_URL": "",
    }
    command = [sys.executable, "manage.py", "events", "flow", "--format", "markdown"]
    shown = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return shown.stdout.strip() + "\n"


def with_table(text: str, table: str) -> str:
    return with_part(text, "flow", table)


def with_part(text: str, name: str, part: str) -> str:
    """What stands between the marks of that name is replaced."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"README.md has lost its marks: {begin.strip()} and {end.strip()}")
    return f"{before}{begin}{part}{end}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(), flow_table()))
