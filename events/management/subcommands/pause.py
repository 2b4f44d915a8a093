from __future__ import annotations

import argparse
from typing import Any, ClassVar

from events.management.console import Console
from events.management.subcommands.base import (
    Subcommand,
    add_database,
    add_operator,
    aliases,
    operator,
)
from events.operations.pausing import find, pause


class Pause(Subcommand):
    help: ClassVar[str] = "let a queue or a receiver hold still; nothing is lost meanwhile"
    description: ClassVar[str] = (
        "Within a second nothing of it is sent or begun any more; what runs is finished. It holds across restarts,\n"
        "until `manage.py events resume`."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_target(parser)
        add_operator(parser)

    def run(self, console: Console, *, name: str, kind: Any, database: str | None, **options: Any) -> None:
        by, why = operator(options["who"]), options["why"]
        for alias in aliases(database):
            target = find(alias, name, kind)
            changed = pause(alias, target, by=by, why=why)
            console.line(
                f"{target.kind} {name} is paused." if changed else f"{target.kind} {name} was paused already."
            )
        console.next(f"manage.py events resume {name}")


def add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of a queue or a receiver")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--queue", dest="kind", action="store_const", const="queue", help="it is a queue's name"
    )
    kind.add_argument(
        "--receiver", dest="kind", action="store_const", const="receiver", help="it is a receiver's name"
    )
    add_database(parser)
