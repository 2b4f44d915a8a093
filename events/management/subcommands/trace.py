from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, ClassVar

from events.management.console import Console
from events.management.subcommands.base import Subcommand, add_database, add_json, aliases, chosen_database
from events.models import Delivery, EventRecord, State
from events.operations.telling import Moment, Told, timeline
from events.operations.tracing import Node, NoTrace, Trace, find_event, trace
from events.texts import duration, last_line, local


class ShowTrace(Subcommand):
    help: ClassVar[str] = "the tree of what an event caused and what caused it, with deliveries"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("id", help="of an event, a delivery or a task (message)")
        add_json(parser)
        add_database(parser)

    def run(self, console: Console, *, id: str, json: bool, database: str | None, **options: Any) -> None:
        using = aliases(database)
        alias, found = _find(using, id)
        if json:
            console.json([_as_json(root, found.event) for root in found.roots])
            return
        for depth, node in found.walk():
            _print(console, node, "  " * depth, found.event)
        if found.cut:
            console.warn("There is more of it than is shown.")
        dead = next((d for _, n in found.walk() for d in n.deliveries if d.state == State.DEAD), None)
        if dead:
            console.next(f"manage.py events retry {dead.pk}{chosen_database(alias, using)}")
        else:
            console.next("manage.py events status")


def _find(using: tuple[str, ...], id: str) -> tuple[str, Trace]:
    for alias in using[:-1]:
        try:
            return alias, trace(alias, find_event(alias, id))
        except NoTrace:
            # It may be in the next one.
            continue
    return using[-1], trace(using[-1], find_event(using[-1], id))


def _print(console: Console, node: Node, indent: str, asked: EventRecord) -> None:
    event, is_asked = node.event, node.event.pk == asked.pk
    text = f"{indent}{event}  {event.emitted_at:%Y-%m-%d %H:%M:%S}  {event.pk}"
    console.line(console.style.MIGRATE_HEADING(text) + (" <- this one" if is_asked else ""))
    if is_asked:
        for line in _told(Told.of(asked.envelope)):
            console.line(f"{indent}  {line}")
    for row in node.deliveries:
        line = f"{indent}  -> {row.receiver}: {outcome(row)}"
        console.line(console.style.ERROR(line) if row.state == State.DEAD else line)
        if is_asked:
            for moment in timeline(asked, row):
                console.line(f"{indent}       {_moment(moment)}")


def _told(told: Told) -> Iterator[str]:
    if told.by is not None:
        who = f"user {told.by.user_id}" if told.by.user_id else "somebody not logged in"
        yield f"by {who}: {told.by.method} /{told.by.route}"
    for change in told.changes:
        yield f"{change.field}: {change.before!r} → {change.after!r}"


def _moment(each: Moment) -> str:
    at = f"{local(each.at):%H:%M:%S.%f}"[:-3]
    error = f": {each.error}" if each.error else ""
    return f"{at}  +{duration(each.took.total_seconds()):<8}  {each.what}{error}"


def outcome(row: Delivery) -> str:
    """`done in 12 ms`, `dead letter after 3 tries: ValueError: …`."""
    words = [str(State(row.state).label)]
    if row.started_at and row.finished_at and row.state == State.DONE:
        words.append(f"in {duration((row.finished_at - row.started_at).total_seconds())}")
    if row.tries:
        words.append(f"after {row.tries} failed {'try' if row.tries == 1 else 'tries'}")
    why = row.reason or last_line(row.error)
    return " ".join(words) + (f": {why[:160]}" if why else "")


def _as_json(node: Node, asked: EventRecord) -> dict[str, Any]:
    told = Told.of(asked.envelope) if node.event.pk == asked.pk else None
    return {
        "id": node.event.pk,
        "type": node.event.type,
        "subject": node.event.subject,
        "emitted_at": node.event.emitted_at,
        **({"by": told.by, "changes": [each._asdict() for each in told.changes]} if told else {}),
        "deliveries": [_delivery_as_json(node.event, row) for row in node.deliveries],
        "caused": [_as_json(each, asked) for each in node.caused],
    }


def _delivery_as_json(event: EventRecord, row: Delivery) -> dict[str, Any]:
    return {
        "id": row.pk,
        "receiver": row.receiver,
        "queue": row.queue,
        "state": row.state,
        "tries": row.tries,
        "sent_at": row.sent_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "reason": row.reason,
        "error": row.error,
        "timeline": [
            {"at": each.at, "what": each.what, "took": each.took.total_seconds(), "error": each.error}
            for each in timeline(event, row)
        ],
    }
