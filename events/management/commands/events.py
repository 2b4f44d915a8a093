from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from events.exceptions import EventsError
from events.management.console import Console
from events.management.subcommands import SUBCOMMANDS

# What a shell reports for a program that Ctrl-C ended.
_INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "See what happens to events, and put it right: one subcommand for each question. Each takes --help."
    )
    # Some of them are for when something is wrong; `doctor` runs the checks.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
        for name, subcommand in SUBCOMMANDS.items():
            sub = subparsers.add_parser(
                name,
                help=subcommand.help,
                description=subcommand.description or subcommand.help,
                epilog=subcommand.epilog,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            _add_general(sub)
            subcommand.add_arguments(sub)

    def handle(self, *args: Any, subcommand: str, **options: Any) -> None:
        console = Console(self.stdout, self.stderr, self.style)
        try:
            SUBCOMMANDS[subcommand].run(console, **options)
        except KeyboardInterrupt:
            console.end_progress()
            console.warn("Stopped. What was done is done, and nothing is half done.")
            sys.exit(_INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output, `head` for example, has enough; the interpreter still wants to flush it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except EventsError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(
                f"The database says: {error}. `manage.py events doctor` looks closer."
            ) from error


def _add_general(parser: Any) -> None:
    """Django's options that people put at the end, where argparse would no longer take them."""
    for name in ("--settings", "--pythonpath"):
        parser.add_argument(name, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for name in ("--traceback", "--no-color", "--force-color"):
        parser.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("-v", "--verbosity", type=int, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
