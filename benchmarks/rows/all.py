from __future__ import annotations

from benchmarks.rows import arriving, draining, saving

ROWS = {row.name: row for module in (saving, draining, arriving) for row in module.ROWS}
