"""One delivery of a parked receiver, now and then: has it recovered? docs/decisions/0014-kill-switch.md."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models.functions import Now

from events import pauses
from events.clock import after
from events.conf import settings
from events.models import PausedReceiver


def due(using: str, served: Iterable[str]) -> list[str]:
    """Parked receivers among those served that may be probed now. Asks nothing where none is parked."""
    parked = pauses.current(using).parked.intersection(served)
    if not parked:
        return []
    rows = PausedReceiver.objects.using(using).filter(name__in=parked, probe_at__lte=Now())
    return list(rows.order_by("name").values_list("name", flat=True))


def is_ours(using: str, receiver: str, event_id: UUID) -> bool:
    """Whether the probe is this relay's to send: in its transaction, and of several one has it."""
    rows = PausedReceiver.objects.using(using).filter(name=receiver, probe_at__lte=Now())
    return rows.update(probe_at=after(settings.KILL_SWITCH_PROBE), probe=event_id) == 1
