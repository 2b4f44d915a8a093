from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any, ClassVar

from django.core.management.base import CommandError

from events.management.console import Console, plural
from events.management.subcommands.base import (
    Subcommand,
    add_database,
    add_json,
    add_operator,
    aliases,
    moment,
    operator,
)
from events.operations.replaying import replay
from events.relay.replaying import Past, Replayed


class Replay(Subcommand):
    help: ClassVar[str] = "deliver past events again, also to a receiver that is new since then"
    description: ClassVar[str] = (
        "Events chosen by type and time are delivered again to every receiver they went to, or to one. A receiver\n"
        "given by name also gets events of before it existed, if it listens to their signal and sender (its `when`\n"
        "is not asked). Each delivery keeps its idempotency key. What has not finished, and what was forgotten, is\n"
        "left alone. Count first, with --dry-run."
    )
    epilog: ClassVar[str] = (
        "examples:\n"
        "  manage.py events replay --type library.book_read --since 30d --receiver workers.audit.record --dry-run\n"
        "  manage.py events replay --type library.book_read --since 2026-03-01 --until 2026-03-02T12:00"
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--type", action="append", default=[], help="of this type; may be given several times"
        )
        parser.add_argument(
            "--since", type=moment, metavar="WHEN", help="2026-03-01, 2026-03-01T12:00, 2h, 7d (ago)"
        )
        parser.add_argument("--until", type=moment, metavar="WHEN", help="before then; the same forms")
        parser.add_argument("--receiver", metavar="NAME", help="only to this one, even if it is new")
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        add_json(parser)
        add_database(parser)
        add_operator(parser)

    def run(
        self,
        console: Console,
        *,
        type: list[str],
        since: datetime | None,
        until: datetime | None,
        **options: Any,
    ) -> None:
        if not (type or since or until or options["receiver"]):
            raise CommandError(
                "Say which events: --type, --since, --until or --receiver; and try --dry-run first."
            )
        past = Past(types=tuple(type), since=since, until=until)
        dry = options["dry_run"]
        found = [_total(console, alias, past, options) for alias in aliases(options["database"])]
        if options["json"]:
            console.json([total | {"dry_run": dry} for total in map(_as_json, found)])
            return
        for total in found:
            _print(console, total, dry=dry)
        if dry:
            console.next("the same without --dry-run")
        else:
            console.next("manage.py events tail")


def _total(console: Console, alias: str, past: Past, options: dict[str, Any]) -> Replayed:
    total = Replayed()
    by, why, receiver = operator(options["who"]), options["why"], options["receiver"]
    for total in replay(alias, past, receiver=receiver, by=by, why=why, dry_run=options["dry_run"]):
        console.progress(f"{plural(total.events, 'event')}, {total.deliveries:,} to deliver")
    console.end_progress()
    return total


def _print(console: Console, total: Replayed, *, dry: bool) -> None:
    would = "would be" if dry else "are"
    console.line(
        f"{plural(total.events, 'event')}: {plural(total.deliveries, 'delivery')} {would} delivered again."
    )
    for name in sorted({*total.again, *total.new}):
        again, new = total.again.get(name, 0), total.new.get(name, 0)
        console.line(f"  {name}: {again:,} again, {new:,} for the first time")
    if total.unfinished:
        console.line(f"  {total.unfinished:,} left alone: not finished yet")
    if total.forgotten:
        console.line(f"  {plural(total.forgotten, 'event')} left alone: forgotten")


def _as_json(total: Replayed) -> dict[str, Any]:
    return {
        "events": total.events,
        "again": total.again,
        "new": total.new,
        "unfinished": total.unfinished,
        "forgotten": total.forgotten,
    }
