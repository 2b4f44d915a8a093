"""What the bus costs and how much it does, against what people write today and against its peers, in one run.

All subjects have the same machine, in turn, and each a database and a broker of its own that are gone at the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TypeVar

from benchmarks.figures import BASELINE
from benchmarks.lineup import DATABASES, SUBJECTS
from benchmarks.place import BenchmarkError
from benchmarks.rounds import Plan, take
from benchmarks.rows.all import ROWS
from benchmarks.table import show

T = TypeVar("T")


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
    parser.add_argument("--rounds", type=int, default=3, help="of each row, subjects in turn")
    parser.add_argument("--scale", type=float, default=1.0, help="of how much each round does")
    return parser.parse_args()


def names(known: Mapping[str, T]) -> Callable[[str], list[T]]:
    def chosen(text: str) -> list[T]:
        if unknown := [name for name in text.split(",") if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(known)}")
        return [known[name] for name in text.split(",")]

    return chosen


def usual_rows() -> str:
    return ",".join(name for name, row in ROWS.items() if row.usual)


def main() -> None:
    options = arguments()
    plan = Plan(
        rows=options.rows,
        databases=options.databases,
        subjects=options.subjects,
        rounds=options.rounds,
        scale=options.scale,
    )
    for taken in take(plan):
        show(taken)


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as reason:
        raise SystemExit(f"The benchmark did not finish: {reason}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
