from __future__ import annotations

import argparse
from typing import Any, ClassVar

from django.core.management.base import CommandError

from events.conf import settings
from events.management.console import Console, plural
from events.management.subcommands.base import Subcommand, add_database, aliases
from events.relay.pruning import prune


class Prune(Subcommand):
    help: ClassVar[str] = "delete old finished events, in small batches"
    description: ClassVar[str] = (
        "Events whose deliveries are all done or skipped, and that are older than the retention time. Dead letters\n"
        "stay. Relays do it every hour; by hand it is for a first time, or another age."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--days", type=float, help='older than so many days; EVENTS["RETENTION_DAYS"] by default'
        )
        add_database(parser)

    def run(self, console: Console, *, days: float | None, database: str | None, **options: Any) -> None:
        age = settings.RETENTION_DAYS if days is None else days
        if not 0 <= age < 100_000:
            raise CommandError(f"--days {age:g}: a number from 0 on is asked for.")
        gone = 0
        for alias in aliases(database):
            for number in prune(alias, age):
                gone += number
                console.progress(f"{plural(gone, 'event')} deleted")
        console.end_progress()
        console.line(f"{plural(gone, 'event')} of more than {age:g} days deleted, with their deliveries.")
        console.next("manage.py events status")
