from __future__ import annotations

import argparse
from typing import Any, ClassVar

from django.core.management.base import CommandError

from events.conf import settings
from events.deeds import Deed
from events.management.console import Console, plural
from events.management.stopping import between_steps
from events.management.subcommands.base import (
    Subcommand,
    add_database,
    add_operator,
    aliases,
    operator,
)
from events.relay.pruning import Pruned, prune


class Prune(Subcommand):
    help: ClassVar[str] = "delete old finished events, refusals and task results, in small batches"
    description: ClassVar[str] = (
        "Events whose deliveries are all done or skipped, and refusals, older than the retention time; task\n"
        "results older than Celery's result_expires. Dead letters stay, and keep their event. Nobody waits for it\n"
        "longer than a fraction of a second, and it can be stopped at any time. Relays do it every hour; by hand\n"
        "it is for a first time, or another age."
    )
    epilog: ClassVar[str] = "example:\n  manage.py events prune --days 7 --dry-run"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--days", type=float, help='older than so many days; EVENTS["RETENTION_DAYS"] by default'
        )
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        add_database(parser)
        add_operator(parser)

    def run(
        self,
        console: Console,
        *,
        days: float | None,
        dry_run: bool,
        database: str | None,
        **options: Any,
    ) -> None:
        age = settings.RETENTION_DAYS if days is None else days
        if not 0 <= age < 100_000:
            raise CommandError(f"--days {age:g}: a number from 0 on is asked for.")
        total = Pruned()
        would = "would be deleted" if dry_run else "deleted"
        try:
            with between_steps() as stop_if_asked:
                for alias in aliases(database):
                    deed = _deed(alias, age, options)
                    for some in prune(alias, age, dry_run=dry_run):
                        total += some
                        # Not with them, but right after: each slice is a transaction of the relay's own.
                        deed.add(0 if dry_run else some.events)
                        console.progress(f"{total.examined:,} rows examined; {_summary(total)} {would}")
                        stop_if_asked()
        except KeyboardInterrupt:
            console.end_progress()
            console.warn(f"So far: {_summary(total)} {would}.")
            raise
        console.end_progress()
        console.line(
            f"{plural(total.events, 'event')} of more than {age:g} days {would}, with their deliveries."
        )
        console.line(
            f"{plural(total.refusals, 'refusal')} and {plural(total.results, 'task result')} {would}."
        )
        console.next("the same without --dry-run" if dry_run else "manage.py events status")


def _deed(alias: str, age: float, options: dict[str, Any]) -> Deed:
    target = f"events of more than {age:g} days"
    return Deed(using=alias, by=operator(options["who"]), what="pruned", target=target, why=options["why"])


def _summary(total: Pruned) -> str:
    return ", ".join(
        [
            plural(total.events, "event"),
            plural(total.refusals, "refusal"),
            plural(total.results, "task result"),
        ]
    )
