"""The table of a run, line by line as it goes on; and its summary as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# Seconds from the end of a fault until everything emitted by then is finished.
LIMIT = 60.0


@dataclass(slots=True, kw_only=True)
class Result:
    """What a round came to."""

    number: int
    fault: str
    events: int = 0
    deliveries: int = 0
    lost: int = 0
    doubled: int = 0
    # Effects of what was rolled back, or never committed.
    ghosts: int = 0
    # Seconds; None: something was unfinished when the waiting ended.
    recovery: float | None = None
    # Messages that the broker was given, and deliveries put into them, against deliveries that had to be.
    messages: int = 0
    puts: int = 0
    destroyed: int = 0
    # Transactions that the database refused, and the slowest of the others, in milliseconds.
    failed: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    # The machine's load average over the last minute, when the round ended.
    machine: float = 0.0
    troubles: list[str] = field(default_factory=list)

    @property
    def puts_per_need(self) -> float:
        needed = self.deliveries + self.destroyed
        return self.puts / needed if needed else 0.0

    @property
    def is_late(self) -> bool:
        return self.recovery is None or self.recovery > LIMIT

    @property
    def is_well(self) -> bool:
        return not (self.lost or self.doubled or self.ghosts or self.is_late or self.troubles)


COLUMNS: tuple[tuple[str, int], ...] = (
    ("round", 5),
    ("fault", -38),
    ("events", 7),
    ("deliveries", 10),
    ("lost", 5),
    ("doubled", 7),
    ("rolled back", 11),
    ("recovery s", 10),
    ("messages", 8),
    ("per need", 8),
    ("slowest ms", 10),
    ("machine", 7),
)


def header() -> str:
    titles = " ".join(f"{name:<{-width}}" if width < 0 else f"{name:>{width}}" for name, width in COLUMNS)
    return f"{titles}\n{'-' * len(titles)}"


def line(result: Result) -> str:
    recovery = "never" if result.recovery is None else f"{result.recovery:.1f}"
    values = (
        result.number,
        result.fault,
        result.events,
        result.deliveries,
        result.lost,
        result.doubled,
        result.ghosts,
        recovery,
        result.messages,
        f"{result.puts_per_need:.2f}",
        f"{result.slowest:.0f}",
        f"{result.machine:.0f}",
    )
    cells = zip(values, COLUMNS, strict=True)
    text = " ".join(f"{v!s:<{-width}}" if width < 0 else f"{v!s:>{width}}" for v, (_, width) in cells)
    return text if result.is_well else f"{text}  ✗"


def total(results: Sequence[Result]) -> Result:
    recoveries = [result.recovery for result in results]
    known = [recovery for recovery in recoveries if recovery is not None]
    return Result(
        number=len(results),
        fault="all; of times and load the worst",
        recovery=max(known, default=0.0) if len(known) == len(results) else None,
        slowest=max((result.slowest for result in results), default=0.0),
        machine=max((result.machine for result in results), default=0.0),
        **{
            name: sum(getattr(result, name) for result in results)
            for name in ("events", "deliveries", "lost", "doubled", "ghosts", "messages", "puts", "destroyed")
        },
    )


def write(path: Path, results: Sequence[Result], **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rounds = [asdict(result) | {"puts_per_need": round(result.puts_per_need, 3)} for result in results]
    path.write_text(json.dumps({**more, "rounds": rounds}, indent=1, ensure_ascii=False) + "\n")
