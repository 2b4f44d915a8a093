from __future__ import annotations

import argparse
import getpass
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from events.databases import outbox_aliases
from events.management.console import Console
from events.operations.pausing import is_receiver

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Subcommand:
    """One question a person asks, or one thing to put right."""

    # One line in the list of subcommands.
    help: ClassVar[str]
    # What its own --help says; `help` where that is enough.
    description: ClassVar[str] = ""
    epilog: ClassVar[str] = ""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Its own; what every subcommand takes is there already."""

    def run(self, console: Console, *args: Any, **options: Any) -> None:
        raise NotImplementedError


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database", metavar="ALIAS", help="only the outbox of this database alias; all of them by default"
    )


def aliases(database: str | None) -> tuple[str, ...]:
    """The outboxes to look into."""
    if database is None:
        return outbox_aliases()
    if database not in outbox_aliases():
        raise CommandError(f"{database!r} has no outbox; these have one: {', '.join(outbox_aliases())}.")
    return (database,)


def assert_receiver(name: str | None, using: Sequence[str]) -> None:
    """A name misspelt is an error, not an empty list."""
    if name is not None and not any(is_receiver(alias, name) for alias in using):
        raise CommandError(f"No receiver is called {name!r}; `manage.py events list` shows them.")


def positive(text: str) -> int:
    """For argparse."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def moment(text: str) -> datetime:
    """For argparse: 2026-03-01, 2026-03-01T12:00, or 30m, 2h, 7d for so long ago."""
    match = _AGO.fullmatch(text)
    if match:
        return timezone.now() - timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    try:
        day = parse_date(text)
        found = parse_datetime(text) if day is None else datetime.combine(day, datetime.min.time())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write 2026-03-01, 2026-03-01T12:00, 2h or 7d (ago)"
        )
    return _as_stored(found)


def _as_stored(found: datetime) -> datetime:
    if timezone.is_aware(found) == settings.USE_TZ:
        return found
    return timezone.make_aware(found) if settings.USE_TZ else timezone.make_naive(found)


def add_operator(parser: argparse.ArgumentParser) -> None:
    """For what is recorded: see `operator`."""
    parser.add_argument(
        "--as", dest="who", metavar="NAME", help="who does this, for the record; by default this login's name"
    )
    parser.add_argument("--why", metavar="TEXT", default="", help="the reason, for the record")


def operator(who: str | None = None) -> str:
    """Who types, for the record and the log: as they say, or as the system knows them."""
    return f"{who or _login()} (command line)"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container whose user has no name.
        return "somebody"


def labelled(alias: str, using: Sequence[str]) -> str:
    """The alias in front of a line, where there are several."""
    return f"[{alias}] " if len(using) > 1 else ""


def chosen_database(alias: str, using: Sequence[str]) -> str:
    """What to add to a command that names a delivery: its id alone says nothing where there are several."""
    return f" --database {alias}" if len(using) > 1 else ""
