from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any, ClassVar

from events.flow import collect
from events.management.console import Console, plural
from events.management.subcommands.base import Subcommand, add_json


class List(Subcommand):
    help: ClassVar[str] = "who listens to what: the offloaded receivers"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_json(parser)

    def run(self, console: Console, *, json: bool, **options: Any) -> None:
        routes = [route for route in collect().routes if route.queue]
        if json:
            console.json([asdict(route) for route in routes])
            return
        if not routes:
            console.line("No receiver is offloaded: write @offload(post_save, sender=…) above one.")
            return
        head = ("SIGNAL", "SENDER", "RECEIVER", "QUEUE", "GUARANTEE")
        console.table(head, [(r.signal, r.sender, r.receiver, r.queue, r.guarantee) for r in routes])
        console.line(plural(len({route.receiver for route in routes}), "receiver"))
        console.next(
            "manage.py events flow (with effects, and the synchronous ones)", "manage.py events status"
        )
