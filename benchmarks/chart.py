"""`results.svg`: how much each drains and what each adds to a request, as bars. Readable on light and on dark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from benchmarks.figures import OURS
from benchmarks.lineup import DATABASES, ROOT
from benchmarks.results import RESULTS

CHART = ROOT / "benchmarks" / "results.svg"

WIDTH, MARGIN = 860, 20
LABEL, BAR_END = 230, 740
BAR, GAP, HEAD = 16, 6, 34
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .head { font-weight: 600; font-size: 14px }
  .note { font-size: 11px; fill: #57606a }
  .bar { fill: #8c959f } .ours { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #8d96a0 } .bar { fill: #6e7681 } .ours { fill: #3fb950 }
  }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One group of bars; the longest is that of the largest value."""

    title: str
    note: str
    bars: Sequence[tuple[str, str, float]]  # subject's name, its title, value
    unit: str

    @property
    def height(self) -> int:
        return HEAD + len(self.bars) * (BAR + GAP) + 14


# Row, figure, title, whether more is better.
SHOWN = (
    ("drain-bulk", "rate", "Deliveries a second, one worker, backlog from bulk transactions", True),
    ("drain-single", "rate", "Deliveries a second, one worker, backlog from single saves", True),
    ("request", "added", "Time added to a request by one save with four receivers", False),
)


def panels(found: Mapping[str, Any]) -> Iterator[Panel]:
    titles = found["subjects"]
    by_key = {(f["row"], f["figure"], f["database"]): f for f in found["figures"]}
    for row, name, title, more in SHOWN:
        for database in DATABASES:
            if figure := by_key.get((row, name, database)):
                values = {subject: one["median"] for subject, one in figure["subjects"].items()}
                yield Panel(
                    title=f"{title}: {'SQLite' if database == 'sqlite' else 'PostgreSQL'}",
                    note="more is better" if more else "less is better",
                    bars=[
                        (subject, titles.get(subject, subject), values[subject])
                        for subject in sorted(values, key=lambda one: values[one], reverse=more)
                    ],
                    unit=figure["unit"],
                )


def drawn(found: Mapping[str, Any]) -> str:
    top, parts = MARGIN, []
    for panel in panels(found):
        parts += _panel(panel, top)
        top += panel.height
    about = found["about"]
    note = f"Commit {about['commit']}, {about['at'][:10]}; {about['machine']}. Medians of {about['rounds']} rounds."
    parts.append(_text(MARGIN, top + 8, note, "note"))
    height = top + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Benchmark results"><style>{_STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(panel: Panel, top: int) -> Iterator[str]:
    yield _text(MARGIN, top + 14, panel.title, "head")
    yield _text(WIDTH - MARGIN, top + 14, panel.note, "note", anchor="end")
    most = max((value for _, _, value in panel.bars), default=0.0)
    for number, (subject, title, value) in enumerate(panel.bars):
        y = top + HEAD - 8 + number * (BAR + GAP)
        length = bar_length(value, most)
        kind = "bar ours" if subject == OURS else "bar"
        yield _text(LABEL - 8, y + BAR - 4, title, anchor="end")
        yield f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{length}" height="{BAR}" rx="2"/>'
        yield _text(LABEL + length + 6, y + BAR - 4, _value(value, panel.unit))


def bar_length(value: float, most: float) -> int:
    """In proportion; a sliver for what is next to nothing, or was lost in noise."""
    return max(1, round((BAR_END - LABEL) * value / most)) if most > 0 else 1


def _value(value: float, unit: str) -> str:
    return f"{value:,.0f}{unit}" if unit.startswith("/") else f"{value:,.0f} {unit}"


def _text(x: int, y: int, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


if __name__ == "__main__":
    CHART.write_text(drawn(json.loads(RESULTS.read_text())))
