from __future__ import annotations

import argparse
import time
from typing import Any, ClassVar

from django.utils import timezone

from events.management.console import Console
from events.management.subcommands.base import (
    Subcommand,
    add_database,
    add_json,
    aliases,
    assert_receiver,
    labelled,
    positive,
)
from events.management.subcommands.trace import outcome
from events.models import Delivery, State
from events.operations.following import Follower
from events.texts import local

# Seconds between two looks.
_EVERY = 0.5


class Tail(Subcommand):
    help: ClassVar[str] = "follow deliveries live, until Ctrl-C"
    description: ClassVar[str] = "One line whenever the state of a delivery changes."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--receiver", metavar="NAME", help="only those of this receiver")
        parser.add_argument(
            "-n", "--lines", type=positive, default=10, help="begin with so many of the latest; 10"
        )
        parser.add_argument("--limit", type=positive, help="end after so many lines")
        add_json(parser)
        add_database(parser)

    def run(
        self, console: Console, *, receiver: str | None, lines: int, database: str | None, **options: Any
    ) -> None:
        using = aliases(database)
        assert_receiver(receiver, using)
        followers = [(labelled(alias, using), Follower(alias, receiver, lines)) for alias in using]
        left = options["limit"] or float("inf")
        try:
            while left > 0:
                for label, follower in followers:
                    for row in follower.changed():
                        if left > 0:
                            _print(console, row, label, json=options["json"])
                            left -= 1
                console.flush()
                if left > 0:
                    time.sleep(_EVERY)
        except KeyboardInterrupt:
            # The usual end.
            console.line()
        if not options["json"]:
            console.next("manage.py events status", "manage.py events trace ID")


def _print(console: Console, row: Delivery, label: str, *, json: bool) -> None:
    at = row.finished_at or row.started_at or timezone.now()
    if json:
        console.json_line(
            {
                "id": row.pk,
                "at": at,
                "event": row.event_id,
                "type": row.event.type,
                "subject": row.event.subject,
                "receiver": row.receiver,
                "queue": row.queue,
                "state": row.state,
                "tries": row.tries,
            }
        )
        return
    line = f"{label}{local(at):%H:%M:%S}  {row.pk}  {row.event}  -> {row.receiver}: {outcome(row)}"
    console.line(console.style.ERROR(line) if row.state == State.DEAD else line)
