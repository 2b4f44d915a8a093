"""What of a signal travels: its type, its subject, and its arguments as they are at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Model
from django.dispatch import Signal

from events.capture.captured import UNCAPTURED, Capture, Captured
from events.capture.frame import PROCESS_BOUND, dump_sender
from events.capture.naming import m2m_field, subject_of
from events.capture.of_arguments import OfArguments
from events.capture.of_row import OF_A_ROW, OfRow

__all__ = [
    "PROCESS_BOUND",
    "UNCAPTURED",
    "Capture",
    "Captured",
    "capture",
    "dump_sender",
    "m2m_field",
    "subject_of",
]


def capture(signal: Signal, sender: object, arguments: Mapping[str, Any]) -> Capture:
    """Of a model's row next to nothing is done until it is read: see docs/decisions/0018-written-later.md."""
    instance = arguments.get("instance")
    if isinstance(instance, Model) and signal in OF_A_ROW:
        return OfRow(signal, sender, instance, arguments)
    return OfArguments(signal, sender, arguments)
