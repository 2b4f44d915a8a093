from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any, ClassVar

from django.apps import apps
from django.core.management.base import CommandError

from events.management.console import Console, plural
from events.management.subcommands.base import (
    Subcommand,
    add_database,
    add_operator,
    aliases,
    operator,
)
from events.models import EventRecord
from events.operations.forgetting import Progress, forget
from events.operations.mentions import Row


class Forget(Subcommand):
    help: ClassVar[str] = "blank a person's data in every stored event"
    description: ClassVar[str] = (
        "Events about the row, and events that refer to it, lose their data and the error texts of their\n"
        "deliveries; ids, types and times stay, as a record that something happened. Their unfinished deliveries\n"
        "and dead letters end as skipped. Where people acted on these deliveries or on failures of their kind, or\n"
        "wrote of the row by its name (auth.user/42), their notes and reasons and the outcomes go too. That they did\n"
        "something stays, and who it was. It can't be undone.\n\n"
        "Not looked into: texts that only mention the person, reasons for more than ten deliveries at once that were\n"
        "chosen otherwise than by their kind, logs, and your own tables. A message that the broker has already keeps\n"
        "its copy until a worker takes it, which then doesn't run it."
    )
    epilog: ClassVar[str] = "example:\n  manage.py events forget auth.user/42"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("subject", help="app.model/key, as events have it: auth.user/42")
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        add_database(parser)
        add_operator(parser)

    def run(
        self, console: Console, *, subject: str, dry_run: bool, database: str | None, **options: Any
    ) -> None:
        by, why = operator(options["who"]), options["why"]
        totals = []
        for alias in aliases(database):
            total = Progress(0, 0, 0)
            for total in forget(alias, subject, by=by, why=why, dry_run=dry_run):
                console.progress(f"{plural(total.forgotten, 'event')} of {total.examined:,} examined")
            console.end_progress()
            totals.append(total)
        if not any(total.forgotten or total.silenced for total in totals):
            _assert_known(subject, aliases(database))
        for total in totals:
            _print(console, total, dry_run=dry_run)
        console.next("the same without --dry-run" if dry_run else "manage.py events status")


def _print(console: Console, total: Progress, *, dry_run: bool) -> None:
    if dry_run:
        console.line(f"{plural(total.forgotten, 'event')} would be blanked.")
        return
    stopped = plural(total.stopped, "delivery")
    console.line(f"{plural(total.forgotten, 'event')} blanked; {stopped} ended as skipped.")
    if total.silenced:
        console.line(f"What was said about them is gone from {plural(total.silenced, 'action')}.")


def _assert_known(subject: str, databases: Iterable[str]) -> None:
    """A person's data is not gone because its name was misspelt. A model that is gone is one that events still name."""
    label = subject.partition("/")[0].lower()
    labels = {model._meta.label_lower for model in apps.get_models(include_auto_created=True)}
    if label in labels or any(_is_named(using, subject) for using in databases):
        return
    alike = sorted(each for each in labels if each.endswith(f".{label.partition('.')[2]}"))
    hint = f" Did you mean {' or '.join(alike)}?" if alike else ""
    raise CommandError(f"No event names {subject}, and no model is called {label!r}.{hint}")


def _is_named(using: str, subject: str) -> bool:
    return EventRecord.objects.using(using).filter(subject__in=Row.called(subject).subjects()).exists()
