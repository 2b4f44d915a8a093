"""From what a worker took off the broker to a message that one of ours published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from events.databases import outbox_aliases
from events.exceptions import Refused
from events.message import Message


def received(header: Any, envelopes: Sequence[str], *, task: str, id: str) -> Message:
    """Raises `Refused` for a message that isn't ours to the letter, or of an outbox that this worker doesn't have."""
    message = Message.received(header, envelopes, task=task, id=id)
    if message.using not in outbox_aliases():
        raise Refused(f"it is of the outbox {message.using!r}, which this worker doesn't have")
    return message
