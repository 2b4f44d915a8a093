from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import CommandError

from events.management.console import Console
from events.management.subcommands.letters import Letters
from events.operations.jobs import What


class Discard(Letters):
    what: ClassVar[What] = "discarded"
    help: ClassVar[str] = "give dead letters up: some, those of a receiver or a kind, or all"
    description: ClassVar[str] = (
        "Dead letters end as skipped, with the reason given; the error stays with them. `events replay` could\n"
        "deliver their events once more."
    )
    epilog: ClassVar[str] = (
        "examples:\n"
        "  manage.py events discard 4711 --why 'the account is closed'\n"
        "  manage.py events discard --group 0f3a5b7c9d1e2f40 --why 'fixed by hand'"
    )

    def run(self, console: Console, *args: Any, **options: Any) -> None:
        if not options["why"].strip():
            raise CommandError("Say why, with --why TEXT: it is all that will be known of them.")
        super().run(console, *args, **options)
