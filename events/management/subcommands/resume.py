from __future__ import annotations

import argparse
from typing import Any, ClassVar

from events.management.console import Console
from events.management.subcommands.base import Subcommand, add_operator, aliases, operator
from events.management.subcommands.pause import add_target
from events.operations.pausing import find, resume


class Resume(Subcommand):
    help: ClassVar[str] = "let a paused queue or receiver go on"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_target(parser)
        add_operator(parser)

    def run(self, console: Console, *, name: str, kind: Any, database: str | None, **options: Any) -> None:
        by, why = operator(options["who"]), options["why"]
        for alias in aliases(database):
            target = find(alias, name, kind)
            changed = resume(alias, target, by=by, why=why)
            console.line(
                f"{target.kind} {name} goes on." if changed else f"{target.kind} {name} was not paused."
            )
        console.next("manage.py events tail")
