"""What the bus has to tell those who run it, as events of its own: offload a receiver to them, and be told."""

from __future__ import annotations

from events.signals import event


@event("events.receiver_parked")
def receiver_parked(*, receiver: str, reason: str) -> None:
    """Nearly all of a receiver's last runs failed: it is parked, and probed until it recovers."""


@event("events.receiver_recovered")
def receiver_recovered(*, receiver: str) -> None:
    """A probe of a parked receiver succeeded: it goes on."""
