"""The flow in words, tables and drawings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from events.flow.collecting import Flow, Route

IN_PLACE = "in process"


def show(flow: Flow, format: str) -> str:
    """One of FORMATS; no newline at its end."""
    return FORMATS[format](flow)


def _text(flow: Flow) -> str:
    lines: list[str] = []
    last = None
    for route in flow.routes:
        if (route.signal, route.sender) != last:
            last = (route.signal, route.sender)
            lines.append(f"{route.signal} from {route.sender}")
        where = f"queue {route.queue}, {route.guarantee}" if route.queue else IN_PLACE
        lines.append(f"  -> {route.receiver}  [{where}]")
        if route.effect:
            lines.append(f"     {route.effect}")
    lines += [f"{signal} leaves at home: {', '.join(names)}" for signal, names in flow.left_out.items()]
    return "\n".join(lines)


_HEAD = ("Signal", "Event", "Sender", "Receiver", "Queue", "Effect", "Guarantee")


def _markdown(flow: Flow) -> str:
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(_cells(route) for route in flow.routes)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if flow.left_out:
        lines += ["", "Arguments that mean something in the sending process only, and never travel:", ""]
        lines += [f"- `{signal}`: {_codes(names)}" for signal, names in flow.left_out.items()]
    return "\n".join(lines)


def _cells(route: Route) -> tuple[str, ...]:
    return (
        _code(route.signal),
        _codes(_joined(route.types)) if route.types else "–",
        _code(route.sender) if route.sender != "any" else "any",
        _code(route.receiver),
        _code(route.queue) if route.queue else "–",
        _escaped(route.effect) or "–",
        route.guarantee,
    )


def _joined(types: Sequence[str]) -> tuple[str, ...]:
    """library.book.created, library.book.updated → library.book.created/updated: one line, not two."""
    stem = types[0].rpartition(".")[0]
    if len(types) > 1 and all(each.rpartition(".")[0] == stem for each in types):
        return (f"{stem}.{'/'.join(each.rpartition('.')[2] for each in types)}",)
    return tuple(types)


def _code(text: str) -> str:
    return f"`{text}`"


def _codes(names: Sequence[str]) -> str:
    return ", ".join(map(_code, names))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _mermaid(flow: Flow) -> str:
    """A graph from left to right: signal, receiver, queue."""
    names: dict[tuple[str, str], str] = {}
    nodes: list[str] = []
    edges: list[str] = []

    def node(kind: str, text: str, form: str) -> str:
        if (kind, text) not in names:
            names[kind, text] = f"{kind}{sum(k == kind for k, _ in names) + 1}"
            nodes.append(f"  {names[kind, text]}{form.format(_quoted(text))}")
        return names[kind, text]

    for route in flow.routes:
        sender = f" · {route.sender}" if route.sender != "any" else ""
        source = node("s", f"{route.signal}{sender}", '(["{}"])')
        receiver = node("r", route.receiver, '["{}"]')
        edges.append(f"  {source} --> {receiver}" if route.queue else f"  {source} -.-> {receiver}")
        if route.queue:
            queue = node("q", route.queue, '[("{}")]')
            edges.append(f"  {receiver} --> {queue}")
    return "\n".join(["flowchart LR", *nodes, *dict.fromkeys(edges)])


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")


def _json(flow: Flow) -> str:
    return json.dumps(asdict(flow), indent=2, ensure_ascii=False)


FORMATS: dict[str, Callable[[Flow], str]] = {
    "text": _text,
    "mermaid": _mermaid,
    "markdown": _markdown,
    "json": _json,
}
