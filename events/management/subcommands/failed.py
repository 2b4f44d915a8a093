from __future__ import annotations

import argparse
from typing import Any, ClassVar

from events.management.console import Console, ago, plural
from events.management.subcommands.base import (
    Subcommand,
    add_database,
    add_json,
    aliases,
    assert_receiver,
    chosen_database,
    labelled,
    positive,
)
from events.models import Delivery
from events.operations.failures import by_receiver, failures, last_line


class Failed(Subcommand):
    help: ClassVar[str] = "the dead letters: deliveries that used up their tries, or gave up"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--receiver", metavar="NAME", help="only those of this receiver")
        parser.add_argument(
            "--limit", type=positive, default=20, help="how many are listed, the latest first; 20"
        )
        parser.add_argument("--errors", action="store_true", help="with the whole traceback of each")
        add_json(parser)
        add_database(parser)

    def run(
        self, console: Console, *, receiver: str | None, limit: int, database: str | None, **options: Any
    ) -> None:
        using = aliases(database)
        assert_receiver(receiver, using)
        found = {alias: list(failures(alias, receiver)[:limit]) for alias in using}
        if options["json"]:
            console.json([_as_json(alias, row) for alias, rows in found.items() for row in rows])
            return
        if not any(found.values()):
            console.line(
                "There are no dead letters." if receiver is None else f"{receiver} has no dead letters."
            )
            console.next("manage.py events status")
            return
        for alias, rows in found.items():
            for row in rows:
                _print(console, row, labelled(alias, using), whole=options["errors"])
        for alias in using:
            for each in by_receiver(alias):
                console.line(f"{labelled(alias, using)}{plural(each.dead, 'dead letter')} of {each.receiver}")
        alias, first = next((alias, row) for alias, rows in found.items() for row in rows)
        one = f"manage.py events retry {first.pk}{chosen_database(alias, using)}"
        console.next(one, f"manage.py events retry --receiver {first.receiver}")


def _print(console: Console, row: Delivery, label: str, *, whole: bool) -> None:
    heading = f"{label}{row.pk}  {row.receiver}  {row.event}"
    console.line(console.style.MIGRATE_HEADING(heading))
    console.line(f"    {plural(row.tries, 'try')}, {ago(row.finished_at)}: {last_line(row.error)[:160]}")
    if whole:
        console.line(row.error)


def _as_json(alias: str, row: Delivery) -> dict[str, Any]:
    return {
        "id": row.pk,
        "database": alias,
        "event": row.event_id,
        "type": row.event.type,
        "subject": row.event.subject,
        "receiver": row.receiver,
        "queue": row.queue,
        "tries": row.tries,
        "finished_at": row.finished_at,
        "error": row.error,
    }
