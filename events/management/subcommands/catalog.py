from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any, ClassVar

from django.core.management.base import CommandError

from events.asyncapi import document
from events.catalog import Entry, catalog
from events.management.console import Console
from events.management.subcommands.base import Subcommand, add_json

FORMATS = ("text", "yaml", "json")


class Catalog(Subcommand):
    help: ClassVar[str] = "the events that can happen here: their fields, and who listens"
    description: ClassVar[str] = (
        "As text, or with --format yaml or json as an AsyncAPI 3 document, with a schema for each event. --json\n"
        "is the list of the text, as JSON."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--format", choices=FORMATS, default="text", help="text by default")
        add_json(parser)

    def run(self, console: Console, *, json: bool, format: str, **options: Any) -> None:
        if format == "json":
            console.json(document())
            return
        if format == "yaml":
            console.line(_yaml(document()).rstrip("\n"))
            return
        entries = catalog()
        if json:
            console.json([asdict(entry) for entry in entries])
            return
        for entry in entries:
            _print(console, entry)
        console.next("manage.py events flow", "manage.py events replay --type TYPE --dry-run")


def _yaml(value: dict[str, Any]) -> str:
    try:
        import yaml  # noqa: PLC0415 - the package may be missing
    except ImportError as error:
        raise CommandError("YAML needs PyYAML: pip install PyYAML, or --format json.") from error
    # As they are, not sorted: a document begins with its version.
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text


def _print(console: Console, entry: Entry) -> None:
    console.line(console.style.MIGRATE_HEADING(f"{entry.type} (version {entry.version})"))
    if entry.description:
        console.line(f"  {entry.description.partition(chr(10))[0]}")
    for field in entry.fields or ():
        console.line(f"  {field.name}: {field.type}{'' if field.required else ', optional'}")
    console.line(f"  -> {', '.join(entry.receivers) or 'nobody listens'}")
