from __future__ import annotations

import argparse
from typing import Any, ClassVar

from django.core.management.base import CommandError

from events.management.console import Console, plural
from events.management.subcommands.base import (
    Subcommand,
    add_database,
    add_operator,
    aliases,
    assert_receiver,
    operator,
    positive,
)
from events.operations.redelivering import choose, dead_letters, redeliver


class Retry(Subcommand):
    help: ClassVar[str] = "redeliver dead letters: one, those of a receiver, or all"
    description: ClassVar[str] = (
        "Dead letters wait again, with all their tries before them, and a relay sends them to the workers.\n"
        "An id that names no dead letter is reported, and stops nothing."
    )
    epilog: ClassVar[str] = (
        "examples:\n"
        "  manage.py events retry 4711 4712\n"
        "  manage.py events retry --receiver workers.emails.send_welcome_email --limit 10\n"
        "  manage.py events retry --all"
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "ids", nargs="*", metavar="ID", help="of a delivery, or of an event for all of its dead"
        )
        parser.add_argument("--receiver", metavar="NAME", help="the dead letters of this receiver")
        parser.add_argument("--all", action="store_true", help="every dead letter")
        parser.add_argument("--limit", type=positive, help="at most so many, the oldest first")
        add_database(parser)
        add_operator(parser)

    def run(
        self, console: Console, *, ids: list[str], database: str | None, limit: int | None, **options: Any
    ) -> None:
        receiver, everything = options["receiver"], options["all"]
        if bool(ids) + bool(receiver) + everything != 1:
            raise CommandError(
                "Say which: ids, or --receiver NAME, or --all. `manage.py events failed` lists them."
            )
        using = aliases(database)
        assert_receiver(receiver, using)
        refused: dict[str, str] = {}
        if ids:
            chosen, refused = _chosen(using, ids)
        else:
            chosen = {alias: dead_letters(alias, receiver=receiver, limit=limit) for alias in using}
        done = _redeliver(console, _limited(chosen, limit), operator(options["who"]), options["why"])
        for name, why in refused.items():
            console.warn(f"{name} {why}.")
        console.line(f"{plural(done, 'delivery')} redelivered.")
        if refused:
            raise CommandError(f"{len(refused)} of {len(ids)} ids named no dead letter.")
        console.next("manage.py events tail" if done else "manage.py events failed")


def _chosen(using: tuple[str, ...], ids: list[str]) -> tuple[dict[str, list[int]], dict[str, str]]:
    """By alias; and the names that are none anywhere, with why."""
    if len(using) > 1 and any(name.isdigit() for name in ids):
        raise CommandError(
            f"Ids of deliveries differ between databases: add --database, one of {', '.join(using)}."
        )
    found = {alias: choose(alias, ids) for alias in using}
    everywhere = set.intersection(*(set(chosen.refused) for chosen in found.values()))
    refused = {name: found[using[0]].refused[name] for name in ids if name in everywhere}
    return {alias: list(chosen.keys) for alias, chosen in found.items()}, refused


def _limited(chosen: dict[str, list[int]], limit: int | None) -> dict[str, list[int]]:
    if limit is None:
        return chosen
    left = limit
    limited = {}
    for alias, keys in chosen.items():
        limited[alias] = keys[:left]
        left -= len(limited[alias])
    return limited


def _redeliver(console: Console, chosen: dict[str, list[int]], by: str, why: str) -> int:
    total = sum(map(len, chosen.values()))
    done = 0
    for alias, keys in chosen.items():
        for number in redeliver(alias, keys, by=by, why=why):
            done += number
            console.progress(f"Redelivering: {done:,} of {total:,}")
    console.end_progress()
    return done
