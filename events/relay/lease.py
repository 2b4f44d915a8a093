"""One relay at a time per queue: two that fill the window side by side overfill it."""

from __future__ import annotations

import time

from django.db.models import Q
from django.db.models.functions import Now

from events.clock import after
from events.identity import who
from events.models import Queue

# Seconds a lease lasts without being renewed: how long a queue waits for a relay that died.
LEASE = 10
RENEW = LEASE / 2


def ensure(using: str, names: set[str]) -> None:
    rows = Queue.objects.using(using)
    absent = names - set(rows.filter(name__in=names).values_list("name", flat=True))
    rows.bulk_create([Queue(name=name) for name in sorted(absent)], ignore_conflicts=True)


def take(using: str, name: str) -> bool:
    """Whether the queue is ours to feed, unpaused, for the next RENEW seconds at least."""
    unpaused = Queue.objects.using(using).filter(name=name, paused=False)
    # A relay asks many times a second, and a write waits for others' on SQLite, and leaves a dead row on PostgreSQL.
    if unpaused.filter(lease_owner=who(), lease_until__gt=after(RENEW + 3)).exists():
        return True
    rows = unpaused.filter(Q(lease_until=None) | Q(lease_until__lt=Now()) | Q(lease_owner=who()))
    return rows.update(lease_owner=who(), lease_until=after(LEASE)) == 1


class Lease:
    """The one this relay has just taken: a round may last longer than it."""

    def __init__(self, using: str, name: str) -> None:
        self.using, self.name = using, name
        self._taken = time.monotonic()

    def is_ours(self) -> bool:
        """Asked before each message; asks the database when half of it is over, and takes it anew."""
        if time.monotonic() - self._taken < RENEW:
            return True
        self._taken = time.monotonic()
        return take(self.using, self.name)


def leave(using: str) -> None:
    """A relay that stops lets others go on at once."""
    Queue.objects.using(using).filter(lease_owner=who()).update(lease_until=None)
