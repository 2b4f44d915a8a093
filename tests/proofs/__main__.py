"""`python -m tests.proofs`: is each mechanism needed? Without it, does the test fail that should?"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.proofs.mechanism import ROOT, Mechanism
from tests.proofs.mechanisms import MECHANISMS

# What a copy doesn't need.
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "__pycache__", ".*_cache", "htmlcov")
# pytest's exit codes.
_PASSED, _FAILED = 0, 1


def main() -> int:
    options = _arguments()
    chosen = [m for m in MECHANISMS if options.only in f"{m.guarantee} {m.name}"]
    if options.list:
        for mechanism in chosen:
            print(f"{mechanism.guarantee}  {mechanism.name}\n     {' '.join(mechanism.test)}")
        return 0
    if not chosen:
        print(f"No mechanism is called {options.only!r}; see --list.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="proofs-") as directory:
        copy = Path(directory) / "copy"
        shutil.copytree(ROOT, copy, ignore=_LEFT_OUT)
        needed = [_prove(mechanism, copy, options) for mechanism in chosen]
    print(f"{sum(needed)} of {len(needed)} mechanisms were missed by their tests when switched off.")
    return 0 if all(needed) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proofs", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="those whose guarantee's number or name has it"
    )
    parser.add_argument("--list", action="store_true", help="show them, and run nothing")
    parser.add_argument(
        "--patience",
        type=int,
        default=30,
        metavar="S",
        help="seconds a test waits for what will not come (30)",
    )
    parser.add_argument("--verbose", action="store_true", help="show what the tests print")
    return parser.parse_args()


def _prove(mechanism: Mechanism, copy: Path, options: argparse.Namespace) -> bool:
    print(f"{mechanism.guarantee}  off: {mechanism.name} … ", end="", flush=True)
    started = time.monotonic()
    before = {edit.file: (copy / edit.file).read_text() for edit in mechanism.edits}
    try:
        for edit in mechanism.edits:
            if not edit.fits(copy):
                print(f"NO PLACE in {edit.file}: the code has changed, and so must the proof")
                return False
            edit.apply(copy)
        result = _run(mechanism.test, copy, options.patience)
    finally:
        for file, text in before.items():
            (copy / file).write_text(text)
    return _told(result, time.monotonic() - started, verbose=options.verbose)


def _run(test: Sequence[str], copy: Path, patience: int) -> subprocess.CompletedProcess[str]:
    # Its own directory and settings; what stands in ours must not be found.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *test, "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly"],
        cwd=copy,
        env=environment
        | {"TEST_PATIENCE": str(patience), "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def _told(result: subprocess.CompletedProcess[str], seconds: float, *, verbose: bool) -> bool:
    needed = result.returncode == _FAILED and re.search(r"^FAILED ", result.stdout, re.MULTILINE) is not None
    failed = re.findall(r"^FAILED (\S+)", result.stdout, re.MULTILINE)
    if needed:
        print(f"failed, as it should: {failed[0]} ({seconds:.0f} s)")
    else:
        what = (
            "PASSED WITHOUT IT" if result.returncode == _PASSED else f"NO RESULT (exit {result.returncode})"
        )
        print(f"{what} ({seconds:.0f} s)")
    if verbose or (not needed and result.returncode != _PASSED):
        print(result.stdout[-4000:], result.stderr[-2000:], sep="\n")
    return needed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
