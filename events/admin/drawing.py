"""The flow as a drawing: where each box and each line goes. Four columns, from left to right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from events.flow import Flow, Route
from events.relay.workers import Workforce

# Left edge and width of each column.
SOURCES, RECEIVERS, QUEUES, WORKERS = (10, 260), (350, 270), (700, 150), (930, 180)
WIDTH = 1120
_ROW, _BOX = 40, 28
_TOP = 34
# Pixels of a letter, as good as one can tell without drawing it.
_LETTER = 7.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What a receiver or a queue does just now."""

    # Only of what ends or fails.
    per_minute: str = ""
    failing: bool = False
    told: str = ""


@dataclass(slots=True, kw_only=True)
class Box:
    text: str
    column: tuple[int, int]
    y: float
    kind: str
    url: str = ""
    bad: bool = False

    @property
    def x(self) -> int:
        return self.column[0]

    @property
    def width(self) -> int:
        return self.column[1]

    @property
    def height(self) -> int:
        return _BOX

    @property
    def middle(self) -> float:
        return self.y + _BOX / 2

    @property
    def baseline(self) -> float:
        return self.middle + 4

    @property
    def text_x(self) -> int:
        return self.x + 10

    @property
    def shown(self) -> str:
        """As much of its end as there is room for: ends differ, beginnings seldom."""
        most = int((self.width - 20) / _LETTER)
        return self.text if len(self.text) <= most else f"…{self.text[1 - most :]}"


@dataclass(slots=True, kw_only=True)
class Line:
    start: Box
    end: Box
    live: Live = field(default_factory=Live)
    in_place: bool = False
    # Beside it stands what it carries; else that is told to who points at it.
    labelled: bool = True

    @property
    def path(self) -> str:
        x1, y1, x2, y2 = self.start.x + self.start.width, self.start.middle, self.end.x, self.end.middle
        bend = (x2 - x1) / 2
        return f"M{x1} {y1:g} C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2} {y2:g}"

    @property
    def label_x(self) -> float:
        return self.start.x + self.start.width + 6

    @property
    def label_y(self) -> float:
        return self.start.middle - 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    boxes: Sequence[Box]
    lines: Sequence[Line]
    height: float
    width: int = WIDTH
    heads: Sequence[tuple[int, str]] = (
        (SOURCES[0], "Signals and events"),
        (RECEIVERS[0], "Receivers"),
        (QUEUES[0], "Queues"),
        (WORKERS[0], "Workers"),
    )


def draw(
    flow: Flow,
    workforce: Workforce,
    receivers: Mapping[str, Live],
    queues: Mapping[str, Live],
    anchors: Mapping[str, str],
) -> Drawing:
    """`anchors`: where a receiver's box leads."""
    of_source = _column(SOURCES, "source", (_source(route) for route in flow.routes))
    of_receiver = _column(RECEIVERS, "receiver", (route.receiver for route in flow.routes))
    of_queue = _column(QUEUES, "queue", (route.queue for route in flow.routes if route.queue))
    of_worker = _column(WORKERS, "worker", (worker.id for worker in workforce.workers))
    height = max(_TOP + _ROW * max(map(len, (of_source, of_receiver, of_queue, of_worker))), _TOP + _ROW)
    for column in (of_source, of_queue, of_worker):
        _spread(column, height)
    lines: dict[tuple[str, str], Line] = {}
    for route in flow.routes:
        receiver = of_receiver[route.receiver]
        receiver.url = anchors.get(route.receiver, "")
        live = receivers.get(route.receiver) or Live()
        receiver.bad = live.failing
        receiver.kind = "receiver" if route.queue else "in-place"
        source = of_source[_source(route)]
        lines[source.text, route.receiver] = Line(
            start=source, end=receiver, in_place=not route.queue, live=live, labelled=False
        )
        if route.queue:
            lines[route.receiver, route.queue] = Line(start=receiver, end=of_queue[route.queue], live=live)
    lines |= _served(of_queue, of_worker, workforce, queues)
    boxes = [box for column in (of_source, of_receiver, of_queue, of_worker) for box in column.values()]
    return Drawing(boxes=boxes, lines=tuple(lines.values()), height=height)


def _served(
    of_queue: Mapping[str, Box],
    of_worker: Mapping[str, Box],
    workforce: Workforce,
    queues: Mapping[str, Live],
) -> dict[tuple[str, str], Line]:
    lines = {}
    for name, box in of_queue.items():
        serving = [worker for worker in workforce.workers if name in worker.queues]
        box.bad = not serving
        for at, worker in enumerate(serving):
            # Once: it is the queue's rate, not each worker's.
            live = queues.get(name) or Live()
            lines[name, worker.id] = Line(
                start=box, end=of_worker[worker.id], live=live if not at else Live()
            )
    return lines


def _source(route: Route) -> str:
    return route.signal if route.sender == "any" else f"{route.signal} · {route.sender}"


def _column(column: tuple[int, int], kind: str, texts: Iterable[str]) -> dict[str, Box]:
    return {
        text: Box(text=text, column=column, y=_TOP + at * _ROW, kind=kind)
        for at, text in enumerate(dict.fromkeys(texts))
    }


def _spread(boxes: Mapping[str, Box], height: float) -> None:
    """Over the height of the longest column."""
    step = (height - _TOP) / max(len(boxes), 1)
    for at, box in enumerate(boxes.values()):
        box.y = _TOP + at * step + (step - _BOX) / 2
