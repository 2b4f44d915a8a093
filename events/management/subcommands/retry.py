from __future__ import annotations

import argparse
from typing import ClassVar

from events.management.subcommands.letters import Letters
from events.operations.jobs import What


class Retry(Letters):
    what: ClassVar[What] = "redelivered"
    help: ClassVar[str] = "redeliver dead letters: some, those of a receiver or a kind, or all"
    description: ClassVar[str] = (
        "Dead letters wait again, with all their tries before them, and a relay sends them to the workers.\n"
        "An id that names no dead letter is reported, and stops nothing. With --rate, --first or --background it\n"
        "is a job that survives this terminal: the admin shows it under actions; Ctrl-C stops it."
    )
    epilog: ClassVar[str] = (
        "examples:\n"
        "  manage.py events retry 4711 4712\n"
        "  manage.py events retry --receiver workers.emails.send_welcome_email --limit 10\n"
        "  manage.py events retry --group 0f3a5b7c9d1e2f40 --first --rate 10 --why 'the mail server is back'\n"
        "  manage.py events retry --all"
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--first", action="store_true", help="one first; the rest when it has succeeded, or not at all"
        )
