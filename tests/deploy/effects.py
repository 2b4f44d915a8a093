from __future__ import annotations

import json
from typing import Any

from depot import CODE

from events.delivery.occurrence import DeliveredEvent
from tests.shop.models import Effect


def leave(function: str, event: DeliveredEvent, **note: Any) -> None:
    note = {"code": CODE, "event": event.id, **note}
    Effect.objects.create(receiver=function, key=event.idempotency_key, note=json.dumps(note, default=str))
