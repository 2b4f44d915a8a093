"""Deliveries' first records, those of one receiver in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from events.delivery.statements import insert_records
from events.models import State


class First(NamedTuple):
    """What a delivery's first record says beside its event; in `wait` seconds it is due, or looked for."""

    receiver: str
    queue: str
    state: State
    wait: float


def record(using: str, found: Mapping[First, Sequence[UUID]]) -> None:
    """For each of the events, of which a statement takes all. Of a delivery that has a record by now, it stays."""
    for (receiver, queue, state, wait), ids in found.items():
        values = {"receiver": receiver, "queue": queue, "state": state, "worker": ""}
        # Here, and only here, a conflict needs no answer: the record is there, whoever made it.
        insert_records(using, ids, values, {"next_at": wait}, where_none_is=True)
