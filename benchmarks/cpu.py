"""CPU seconds that processes have used, with all they started."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def used_by(pids: Iterable[int]) -> float:
    """Of each and of what it started, the ended ones that it has waited for included."""
    children = defaultdict(list)
    seconds = {}
    for pid, parent, used in _processes():
        children[parent].append(pid)
        seconds[pid] = used
    total, waiting, seen = 0.0, list(pids), set()
    while waiting:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        total += seconds.get(pid, 0.0)
        waiting += children[pid]
    return total


def _processes() -> Iterator[tuple[int, int, float]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The name before it may hold spaces and brackets.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        yield int(entry.name), int(fields[1]), sum(map(int, fields[11:15])) / _TICK
