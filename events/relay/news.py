"""Since when the relays reach the broker, or don't: for whoever looks, a word in the database at each change."""

from __future__ import annotations

from django.db.models.functions import Now

from events.models import Meter
from events.relay.metering import METER

# Alias → whether it was reached when this process last said so.
_said: dict[str, bool] = {}


def note_broker(using: str, error: str | None) -> None:
    """`error`: what it said; "" where it answered, None where nobody asked."""
    reached = not error
    if error is None or _said.get(using) is reached:
        return
    # Another relay may have said it before.
    rows = Meter.objects.using(using).filter(name=METER)
    rows.exclude(broker_ok=reached, broker_since__isnull=False).update(
        broker_ok=reached, broker_since=Now(), broker_error=error[:300]
    )
    if rows.exists():
        _said[using] = reached
