from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any, ClassVar

from events.catalog import Entry, catalog
from events.management.console import Console
from events.management.subcommands.base import Subcommand, add_json


class Catalog(Subcommand):
    help: ClassVar[str] = "the events that can happen here: their fields, and who listens"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_json(parser)

    def run(self, console: Console, *, json: bool, **options: Any) -> None:
        entries = catalog()
        if json:
            console.json([asdict(entry) for entry in entries])
            return
        for entry in entries:
            _print(console, entry)
        console.next("manage.py events flow", "manage.py events replay --type TYPE --dry-run")


def _print(console: Console, entry: Entry) -> None:
    console.line(console.style.MIGRATE_HEADING(f"{entry.type} (version {entry.version})"))
    if entry.description:
        console.line(f"  {entry.description.partition(chr(10))[0]}")
    for field in entry.fields or ():
        console.line(f"  {field.name}: {field.type}{'' if field.required else ', optional'}")
    console.line(f"  -> {', '.join(entry.receivers) or 'nobody listens'}")
