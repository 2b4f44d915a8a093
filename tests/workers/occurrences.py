"""What a receiver gets as `event` where a test calls it directly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from events.delivery.occurrence import DeliveredEvent
from events.ids import uuid7


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed(DeliveredEvent):
    key: str

    @property
    def idempotency_key(self) -> str:
        return self.key


def occurrence(key: str = "one", **more: Any) -> DeliveredEvent:
    id = uuid7()
    values = {
        "id": id,
        "type": "library.book.updated",
        "subject": "library.book/1",
        "time": datetime.now(UTC),
        "correlation_id": id,
        "causation_id": None,
        "key": key,
        "receiver": "workers.under_test",
        "attempt": 0,
    }
    return Keyed(**values | more)
