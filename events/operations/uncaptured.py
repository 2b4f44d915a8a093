"""Events that lack a value which could not be captured: their receivers run, and may miss it."""

from __future__ import annotations

from collections import Counter

from events.capture import UNCAPTURED
from events.envelope import decode
from events.models import EventRecord

# Of the latest events: no index knows them.
EXAMINED = 10_000


def uncaptured(using: str) -> Counter[tuple[str, str]]:
    """(type, name of the field or argument) → how many of the latest `EXAMINED` events lack it."""
    events = EventRecord.objects.using(using).order_by("-pk")
    # By the key of the oldest: MySQL takes no LIMIT inside IN.
    edge = list(events.values_list("pk", flat=True)[EXAMINED - 1 : EXAMINED])
    latest = events.filter(pk__gte=edge[0]) if edge else events
    rows = latest.filter(envelope__contains=f'"{UNCAPTURED}":[').values_list("type", "envelope")
    found: Counter[tuple[str, str]] = Counter()
    for kind, envelope in rows.iterator():
        found.update((kind, name) for name in decode(envelope).data.get(UNCAPTURED, ()))
    return found
