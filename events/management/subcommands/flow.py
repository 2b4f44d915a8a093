from __future__ import annotations

import argparse
from typing import Any, ClassVar

from django.apps import apps
from django.core.management.base import CommandError

from events.flow import FORMATS, collect, show
from events.management.console import Console
from events.management.subcommands.base import Subcommand


class ShowFlow(Subcommand):
    help: ClassVar[str] = "signals, receivers, effects: as text, a table or a drawing"
    description: ClassVar[str] = (
        "Every receiver of the project, offloaded or in process, by the signal it listens to. The effect is the\n"
        "first line of its docstring. The output depends on the code alone, so that it can be kept in a README."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--format", choices=sorted(FORMATS), default="text", help="text by default")
        parser.add_argument(
            "--json", action="store_const", const="json", dest="format", help="the same as --format json"
        )
        parser.add_argument(
            "--app", action="append", default=[], metavar="LABEL", help="only receivers of this app"
        )

    def run(self, console: Console, *, format: str, app: list[str], **options: Any) -> None:
        labels = {config.label for config in apps.get_app_configs()}
        if unknown := sorted(set(app) - labels):
            raise CommandError(f"No installed app is labelled {unknown[0]!r}: {', '.join(sorted(labels))}.")
        console.line(show(collect(app), format))
        if format == "text":
            console.next("manage.py events flow --format markdown|mermaid|json", "manage.py events catalog")
