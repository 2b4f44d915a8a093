from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any, ClassVar

from events.management.console import Console, ago, plural, seconds_ago
from events.management.subcommands.base import Subcommand, add_database, add_json, aliases, labelled
from events.operations.figures import Figures, QueueFigures, figures


class Status(Subcommand):
    help: ClassVar[str] = "how things stand, in one screen"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_json(parser)
        add_database(parser)

    def run(self, console: Console, *, json: bool, database: str | None, **options: Any) -> None:
        using = aliases(database)
        found = [figures(alias) for alias in using]
        if json:
            console.json([_as_json(each) for each in found])
            return
        for each in found:
            _print(console, each, labelled(each.using, using))
        console.next(_next(found))


def _as_json(found: Figures) -> dict[str, Any]:
    return asdict(found) | {"failing": [each._asdict() for each in found.failing]}


def _print(console: Console, found: Figures, label: str) -> None:
    minute, last_hour = found.emitted_last_minute, found.emitted_last_hour
    console.line(f"{label}Events   {minute:,} in the last minute, {last_hour:,} in the last hour")
    hour = ", ".join(f"{number:,} {state}" for state, number in sorted(found.last_hour.items())) or "none"
    console.line(f"Deliveries of that hour   {hour}")
    console.line(f"Oldest undelivered   {ago(found.oldest_undelivered)}")
    console.line(
        f"Workers  {found.workers} alive" if found.workers else console.style.ERROR("Workers  none alive")
    )
    if found.broker_error:
        console.line(console.style.ERROR(f"Broker   does not answer ({found.broker_error})"))
    console.line()
    head = ("QUEUE", "IN BROKER", "PROCESSES", "WAITING", "SENT", "RUNNING", "OLDEST DUE", "")
    console.table(head, [_row(queue) for queue in found.queues])
    for queue in found.queues:
        if queue.is_behind:
            text = f"{queue.name} falls behind: its oldest delivery was due {seconds_ago(queue.due_for)}"
            console.line(console.style.WARNING(text))
    for name in found.paused_receivers:
        if name in found.parked:
            console.line(console.style.ERROR(f"parked: {name}: {found.parked[name]}"))
        else:
            console.line(console.style.WARNING(f"paused: {name}"))
    for each in found.unserved:
        number = plural(each.deliveries, "delivery")
        console.line(
            console.style.ERROR(f"{number} of {each.receiver}: no live worker of {each.queue} knows it")
        )
    for failing in found.failing:
        console.line(
            console.style.ERROR(
                f"{plural(failing.dead, 'dead letter')} of {failing.receiver}, the oldest {ago(failing.oldest)}"
            )
        )


def _row(queue: QueueFigures) -> tuple[object, ...]:
    depth = "?" if queue.depth is None else queue.depth
    paused = "paused" if queue.paused else ""
    return (
        queue.name,
        depth,
        queue.processes,
        queue.waiting,
        queue.sent,
        queue.running,
        seconds_ago(queue.due_for),
        paused,
    )


def _next(found: list[Figures]) -> str:
    behind = any(queue.is_behind for each in found for queue in each.queues)
    if behind or any(each.broker_error or not each.workers or each.unserved for each in found):
        return "manage.py events doctor"
    if any(each.failing for each in found):
        return "manage.py events failed"
    return "manage.py events tail"
