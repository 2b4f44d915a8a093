"""Deliveries' first records, those of one receiver in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from events.delivery.statements import insert_records
from events.models import State

# Events of one statement, at most: SQLite's parameters are fewer than a thousand.
_EVENTS = 500


class First(NamedTuple):
    """What a delivery's first record says beside its event: it waits, or was `published` and is looked for in `wait`
    seconds.
    """

    receiver: str
    queue: str
    published: bool
    wait: float


def record(using: str, found: Mapping[First, Sequence[UUID]]) -> None:
    """For each of the events. Of a delivery that has a record by now, it stays as it is."""
    for first, ids in found.items():
        values = {
            "receiver": first.receiver,
            "queue": first.queue,
            "state": State.SENT if first.published else State.WAITING,
            "worker": "",
        }
        times = {"next_at": first.wait if first.published else 0}
        for start in range(0, len(ids), _EVENTS):
            insert_records(using, ids[start : start + _EVENTS], values, times, where_none_is=True)
