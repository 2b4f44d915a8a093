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
from events.operations.failures import Group, failures, groups
from events.relay.jobs import Chosen
from events.texts import last_line


class Failed(Subcommand):
    help: ClassVar[str] = "the dead letters: deliveries that used up their tries, or gave up"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--receiver", metavar="NAME", help="only those of this receiver")
        parser.add_argument(
            "--limit", type=positive, default=20, help="how many are listed, the latest first; 20"
        )
        parser.add_argument("--group", metavar="GROUP", help="only those of this kind of failure")
        parser.add_argument("--errors", action="store_true", help="with the whole traceback of each")
        add_json(parser)
        add_database(parser)

    def run(
        self, console: Console, *, receiver: str | None, limit: int, database: str | None, **options: Any
    ) -> None:
        using = aliases(database)
        assert_receiver(receiver, using)
        chosen = Chosen(receiver=receiver or "", fingerprint=options["group"])
        found = {alias: list(failures(alias, chosen)[:limit]) for alias in using}
        if options["json"]:
            console.json([_as_json(alias, row) for alias, rows in found.items() for row in rows])
            return
        if not any(found.values()):
            console.line(f"There are no dead letters{_of(chosen)}.")
            console.next("manage.py events status")
            return
        for alias, rows in found.items():
            for row in rows:
                _print(console, row, labelled(alias, using), whole=options["errors"])
        console.line()
        kinds = [(alias, group) for alias in using for group in groups(alias, chosen)]
        console.table(_HEAD, [_row(labelled(alias, using), group) for alias, group in kinds])
        alias, first = next((alias, row) for alias, rows in found.items() for row in rows)
        there = chosen_database(alias, using)
        # Those of before there were kinds have none.
        kind = f"--group {first.fingerprint}" if first.fingerprint else f"--receiver {first.receiver}"
        console.next(
            f"manage.py events retry {first.pk}{there}",
            f"manage.py events retry {kind}{there} --first --rate 10",
        )


_HEAD = ("GROUP", "DEAD", "FIRST", "LAST", "RECEIVER", "WHAT")


def _row(label: str, group: Group) -> tuple[object, ...]:
    name = f"{label}{group.fingerprint or '–'}"
    return (name, group.count, ago(group.first), ago(group.last), group.receiver, group.title[:80])


def _of(chosen: Chosen) -> str:
    words = [f" of {chosen.receiver}"] if chosen.receiver else []
    words += [f" in group {chosen.fingerprint}"] if chosen.fingerprint else []
    return "".join(words)


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
        "group": row.fingerprint,
        "error": row.error,
    }
