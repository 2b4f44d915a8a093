"""In the order in which they are measured and shown."""

from __future__ import annotations

from benchmarks.rows import arriving, draining, growing, paging, remembering, saving, spending, weighing

_MODULES = (saving, spending, draining, arriving, weighing, growing, remembering, paging)
ROWS = {row.name: row for module in _MODULES for row in module.ROWS}
