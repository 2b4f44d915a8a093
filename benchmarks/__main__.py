"""What the bus costs and how much it does, against what people write today and against its peers, in one run.

All subjects have the same machine, in turn, and each a database and a broker of its own that are gone at the end.
"""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks.figures import BASELINE
from benchmarks.lineup import DATABASES, ROOT, SUBJECTS, Subject
from benchmarks.place import BenchmarkError
from benchmarks.results import RESULTS, about, collected, figures, merged, write
from benchmarks.rounds import Plan, Taken, take
from benchmarks.rows.all import ROWS
from benchmarks.table import show
from benchmarks.versions import versions
from project.dev.broker import BrokerError
from project.dev.postgres import PostgresError

T = TypeVar("T")
# Where the figures of a run go that does less than it should.
TRIAL = ROOT / "var" / "benchmarks" / "results.json"
PEERS = "bench-peers"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "make bench ARGS='…'",
        description=__doc__,
        epilog="Rows: " + ", ".join(ROWS),
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rows", type=names(ROWS), default=usual_rows(), metavar="ROW,…", help="which rows")
    parser.add_argument(
        "--databases",
        type=names({d: d for d in DATABASES}),
        default=",".join(DATABASES),
        metavar="DATABASE,…",
        help="where",
    )
    parser.add_argument(
        "--subjects", type=names(SUBJECTS), default=",".join(SUBJECTS), metavar="SUBJECT,…",
        help=f"of {', '.join(SUBJECTS)}; ratios are to {BASELINE}",
    )  # fmt: skip
    parser.add_argument("--rounds", type=positive(int), default=3, help="of each row, subjects in turn")
    parser.add_argument("--scale", type=positive(float), default=1.0, help="of how much each round does")
    parser.add_argument(
        "--json",
        type=Path,
        help="where the figures go, beside those that are there and were not measured again; by default "
        f"{RESULTS.relative_to(ROOT)}, or {TRIAL.relative_to(ROOT)} of a run with a smaller scale",
    )
    return parser.parse_args()


def names(known: Mapping[str, T]) -> Callable[[str], list[T]]:
    def chosen(text: str) -> list[T]:
        if unknown := [name for name in text.split(",") if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(known)}")
        return [known[name] for name in text.split(",")]

    return chosen


def positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def chosen(text: str) -> float:
        if (value := kind(text)) <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not more than 0")
        return value

    return chosen


def usual_rows() -> str:
    return ",".join(name for name, row in ROWS.items() if row.usual)


def run(options: argparse.Namespace) -> None:
    subjects = [subject for subject in options.subjects if is_installed(subject)]
    plan = Plan(
        rows=options.rows,
        databases=options.databases,
        subjects=subjects,
        rounds=options.rounds,
        scale=options.scale,
    )
    path = options.json or (RESULTS if plan.scale >= 1 else TRIAL)
    facts = about(plan, versions(subjects))
    taken = []
    for one in take(plan):
        show(one)
        taken.append(one)
        # After each row: who ends it early keeps what there is.
        write(path, merged(path, collected(plan, taken, facts)))
    print(f"\nWritten to {path}.", *verdicts(taken), sep="\n")


def is_installed(subject: Subject) -> bool:
    if not subject.python.exists():
        print(f"{subject.title} is left out: `make {PEERS}` installs it.")
    return subject.python.exists()


def verdicts(taken: Sequence[Taken]) -> list[str]:
    """How many goals were met, and which were missed."""
    found = [figure for one in taken for figure in figures(one) if figure["met"] is not None]
    missed = [f"  {f['row']} on {f['database']}: {f['title']}" for f in found if not f["met"]]
    return [
        f"Goals met: {len(found) - len(missed)} of {len(found)}" + (", missed:" if missed else "."),
        *missed,
    ]


def main() -> None:
    options = arguments()
    # As Ctrl-C does: the processes it started would outlive it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    try:
        run(options)
    except (BenchmarkError, BrokerError, PostgresError) as reason:
        raise SystemExit(f"The benchmark did not finish: {reason}") from None
    except KeyboardInterrupt:
        print("\nEnded early; its processes and their data are gone.")
        raise SystemExit(130) from None
    print(f"{(time.monotonic() - began) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
