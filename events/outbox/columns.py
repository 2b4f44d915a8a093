"""An emission as the values of a row: what all events of the same receivers share is made once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from events.outbox.emission import Emission

NAMES = ("id", "type", "subject", "correlation_id", "causation_id", "receivers", "published", "envelope")

Row = tuple[Any, ...]


def rows_of(connection: BaseDatabaseWrapper) -> Callable[[Emission], Row]:
    """What makes the row of each emission of one statement, in the order of NAMES."""
    key: Callable[[UUID], Any] = _as_it_is if connection.features.has_native_uuid_field else _hexadecimal
    made: dict[int, str] = {}

    def document(value: Any) -> str:
        # By identity: the emissions keep them alive as long as this function is asked.
        text = made.get(id(value))
        if text is None:
            text = made[id(value)] = json.dumps(value)
        return text

    def row(emission: Emission) -> Row:
        id, type, subject, correlation, causation, envelope = emission.content()
        own = key(id)
        return (
            own,
            type,
            subject,
            own if correlation is id else key(correlation),
            None if causation is None else key(causation),
            document(emission.receivers),
            document(emission.published),
            envelope,
        )

    return row


def _as_it_is(value: UUID) -> UUID:
    return value


def _hexadecimal(value: UUID) -> str:
    return value.hex
