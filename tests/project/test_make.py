from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with a space in its name, our Makefile, and requirements that need no download."""
    directory = tmp_path / "my library"
    (directory / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", directory)
    for name in ("base.txt", "dev.txt", "telemetry.txt"):
        (directory / "requirements" / name).touch()
    return directory


def make(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Not as a child of the `make test` that runs this: its flags and variables would come along.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=directory, env=env, capture_output=True, text=True, timeout=100, check=False
    )


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_make__without_a_target_explains_every_target() -> None:
    [phony] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    done = make(ROOT)

    explained = re.findall(r"^  ([\w-]+) +\w", done.stdout, re.MULTILINE)
    assert explained == phony.split()


def test_make_setup__installs_once_in_a_directory_with_a_space(checkout: Path) -> None:
    first = make(checkout, "setup", f"PYTHON={sys.executable}")
    stamp = checkout / ".venv" / ".installed"
    installed_at = stamp.stat().st_mtime_ns
    second = make(checkout, "setup", f"PYTHON={sys.executable}")

    assert first.returncode == 0, first.stderr
    assert "Installing" in first.stdout
    assert second.returncode == 0
    assert "Installing" not in second.stdout
    assert stamp.stat().st_mtime_ns == installed_at
    assert (checkout / ".venv" / "bin" / "python").exists()

    newer = installed_at + 10**9
    os.utime(checkout / "requirements" / "dev.txt", ns=(newer, newer))
    assert "Installing" in make(checkout, "setup", f"PYTHON={sys.executable}").stdout


def test_make_setup__writes_an_environment_with_a_secret_of_its_own_and_keeps_it(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / ".installed").touch()

    make(checkout, "setup", f"PYTHON={sys.executable}")
    written = (checkout / ".env").read_text()
    make(checkout, "setup", f"PYTHON={sys.executable}")

    assert re.fullmatch(r"DEBUG=on\nSECRET_KEY=[\w-]{64}\n", written)
    assert (checkout / ".env").read_text() == written
    assert (checkout / ".env").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        (
            '[ "$1" = -V ] && echo Python 3.9.2; exit 1',
            "Python 3.11 or newer is needed, and '{}' is Python 3.9",
        ),
        ('case "$2" in *ensurepip*) exit 1;; esac', "'{}' comes without venv. Install it"),
    ],
    ids=["too old", "without venv"],
)
def test_make_setup__unfit_python_is_explained_in_one_line(
    checkout: Path, script: str, complaint: str
) -> None:
    python = program(checkout.parent / "python", script)

    done = make(checkout, "setup", f"PYTHON={python}")

    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert len(said) == 1
    assert said[0].startswith(complaint.format(python))
    assert not (checkout / ".venv").exists()


def test_make_setup__missing_python_is_explained_in_one_line(checkout: Path) -> None:
    done = make(checkout, "setup", "PYTHON=no-such-python")

    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert len(said) == 1
    assert "Python 3.11 or newer is needed, and 'no-such-python' is" in said[0]
