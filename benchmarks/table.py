"""The table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import OURS, summarise_all, verdict
from benchmarks.rounds import Taken

HEAD = ("", "median", "p99", "low–high", "ratio", "goal", "")


def show(taken: Taken) -> None:
    for line in lines(taken):
        print(line, flush=True)


def lines(taken: Taken) -> list[str]:
    out = []
    for figure in taken.row.figures:
        goal = figure.goal(taken.database)
        out.append(
            f"\n{taken.row.name} on {taken.database}: {taken.row.title}: {figure.title}, {figure.unit}"
        )
        table: list[Sequence[str]] = [HEAD]
        for subject, found in summarise_all(figure, taken.samples).items():
            met = verdict(figure, taken.database, found) if subject == OURS else None
            table.append(
                (
                    subject,
                    number(found.median),
                    number(found.p99) if found.p99 is not None else "",
                    f"{number(found.low)}–{number(found.high)}",
                    f"{found.ratio:.3g} ×" if found.ratio is not None else "",
                    str(goal) if met is not None else "",
                    "" if met is None else "met" if met else "MISSED",
                )
            )
        out += aligned(table)
    return out


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.ljust(w) if not n else cell.rjust(w)
            for n, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in table
    ]


def number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
