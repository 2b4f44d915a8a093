from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.dispatch import Signal

from events.capture.captured import Captured
from events.capture.frame import frame
from events.capture.naming import first_subject


class OfArguments:
    """Of any signal that is not about a row: a custom one's, a request's, a migration's."""

    may_wait = False

    def __init__(self, signal: Signal, sender: object, arguments: Mapping[str, Any]) -> None:
        self.signal, self.sender, self.arguments = signal, sender, arguments

    def size(self) -> int:
        return 0

    def read(self) -> Captured:
        framed = frame(self.signal, self.sender, None, tuple(self.arguments.items()))
        return Captured(framed.type, first_subject(self.arguments)[:200], framed.data | framed.at_home(()))
