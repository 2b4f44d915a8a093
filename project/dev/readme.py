"""`make readme`: the table of signals, receivers and effects in README.md, from the code as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BEGIN, END = "<!-- flow: begin -->\n", "<!-- flow: end -->\n"


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
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"README.md has lost its marks: {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{table}{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(), flow_table()))
