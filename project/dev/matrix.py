"""The tests on every Python and Django that the project promises: `python -m project.dev.matrix [PYTEST ARGUMENT …]`.

Each pair has an environment of its own in `.venv-matrix/`. A Python that this machine lacks is named, and fails it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from project.dev.serving import inherited

PYTHONS = ("3.11", "3.12", "3.13")
DJANGOS = ("5.2", "6.1")
# Django's own requirement.
OLDEST = {"6.1": (3, 12)}
ROOT = Path(__file__).resolve().parents[2]
VENVS = ROOT / ".venv-matrix"


@dataclass(frozen=True, slots=True)
class Pair:
    python: str
    django: str

    @property
    def is_possible(self) -> bool:
        return tuple(map(int, self.python.split("."))) >= OLDEST.get(self.django, (3, 11))

    @property
    def venv(self) -> Path:
        return VENVS / f"python{self.python}-django{self.django}"

    def __str__(self) -> str:
        return f"Python {self.python}, Django {self.django}"


def pairs() -> Iterator[Pair]:
    return (Pair(python, django) for python in PYTHONS for django in DJANGOS)


def pair_here() -> Pair | None:
    """The pair whose environment runs this process; None where that isn't one of the matrix's."""
    return next((pair for pair in pairs() if pair.venv == Path(sys.prefix)), None)


def find_python(version: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """This one, one on PATH, or one of pyenv's; it has to be able to run."""
    pyenv = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/")) / ".pyenv")
    candidates = [
        sys.executable,
        shutil.which(f"python{version}", path=environ.get("PATH", "")),
        *sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python"))),
    ]
    return next((each for each in candidates if each and _version(each) == version), None)


def _version(program: str) -> str:
    try:
        done = subprocess.run(
            [program, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip()


def requirements(django: str) -> str:
    """All that the tests need, with another Django."""
    return re.sub(r"^Django==.*$", f"Django~={django}.0", _text("dev.txt"), flags=re.MULTILINE)


def _text(name: str) -> str:
    """With those files in it that it refers to."""
    text = (ROOT / "requirements" / name).read_text()
    return re.sub(r"^-r (.*)\n", lambda found: _text(found[1]), text, flags=re.MULTILINE)


def prepare(pair: Pair, python: str) -> Path:
    """The Python of the pair's environment; made anew where what it needs has changed."""
    wanted, stamp = requirements(pair.django), pair.venv / "requirements.txt"
    program = pair.venv / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([python, "-m", "venv", "--clear", str(pair.venv)], check=True)
        draft = pair.venv / "requirements.draft"
        draft.write_text(wanted)
        pip = [str(program), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(draft)], check=True)
        draft.rename(stamp)  # only a complete installation counts
    return program


def run(pair: Pair, arguments: Sequence[str]) -> str:
    if not pair.is_possible:
        return f"left out: Django {pair.django} needs Python {'.'.join(map(str, OLDEST[pair.django]))}"
    python = find_python(pair.python)
    if python is None:
        return f"MISSING: no Python {pair.python} on this machine"
    print(f"\n=== {pair}", flush=True)
    program = prepare(pair, python)
    versions = "import django, platform; print(platform.python_version(), django.__version__)"
    exact = subprocess.run(
        [program, "-c", versions], capture_output=True, text=True, check=True
    ).stdout.split()
    done = subprocess.run([program, "-m", "pytest", *arguments], cwd=ROOT, env=inherited(), check=False)
    return f"{'passed' if done.returncode == 0 else 'FAILED'}: Python {exact[0]}, Django {exact[1]}"


def main(arguments: Sequence[str]) -> int:
    outcomes = {pair: run(pair, arguments) for pair in pairs()}
    print()
    for pair, outcome in outcomes.items():
        print(f"{pair!s:<24} {outcome}")
    return int(any(outcome.startswith(("FAILED", "MISSING")) for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
