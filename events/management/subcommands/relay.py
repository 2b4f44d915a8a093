from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, ClassVar

from django.core.management.base import CommandError

from events.databases import outbox_aliases
from events.management.console import Console
from events.management.subcommands.base import Subcommand
from events.management.watching import Watch
from events.relay.loop import Relay

# Seconds between two looks at whether a signal has come.
_EVERY = 0.2


class RunRelay(Subcommand):
    help: ClassVar[str] = "run a relay alone, until Ctrl-C or SIGTERM"
    description: ClassVar[str] = (
        "It publishes what the emitters left to it and what the broker lost. Every worker runs one, unless\n"
        'EVENTS["RELAY"] is off; any number of them may run side by side.\n\n'
        "With a backlog it shows, on a terminal, how far they are: events to examine, deliveries waiting for room in\n"
        "the broker, how many fewer these become a second, and the time left; elsewhere, every 30 s, a line in the log."
    )

    def run(self, console: Console, **options: Any) -> None:
        stop = _asked_to_stop()
        relay = _RelayThread()
        relay.start()
        console.line(f"The relay runs on {', '.join(outbox_aliases())}. Ctrl-C stops it.")
        console.flush()
        watch = Watch(console)
        while relay.is_alive() and not stop:
            watch.look()
            relay.join(_EVERY)
        console.end_progress()
        relay.relay.stop()
        relay.join()
        if relay.error is not None:
            raise CommandError(f"The relay ended: {relay.error!r}") from relay.error
        console.line("The relay has stopped; others, or the next one, go on where it was.")
        console.next("manage.py events status")


class _RelayThread(threading.Thread):
    """A signal's handler must not touch the lock that the loop may be holding: so the loop is in a thread."""

    def __init__(self) -> None:
        super().__init__(name="events-relay")
        self.relay = Relay()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.relay.run()
        except Exception as error:  # noqa: BLE001 - told by the main thread, which ends with it
            self.error = error


def _asked_to_stop() -> list[int]:
    """Empty until a signal asks; a second one ends the process at once, as ever."""
    asked: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, remember)
    return asked
