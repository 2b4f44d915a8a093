"""A replay, or the count of one, as a job: see events.relay.jobs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from events.clock import after
from events.models import Action
from events.relay.replaying import Past, Replayed, count_some, replay_some
from events.relay.slices import BATCH, batches


@dataclass(slots=True, kw_only=True)
class Order:
    """What a job's row says of it: which events, how far it is, and what it has found."""

    past: Past
    receiver: str | None
    # The last event there was when it was asked for, and the last one it came to.
    last: UUID
    after: UUID | None = None
    found: Replayed = field(default_factory=Replayed)
    # Of one that was counted: the job that replays it.
    replay: int | None = None

    def dump(self) -> dict[str, Any]:
        return {
            "past": self.past.dump(),
            "receiver": self.receiver,
            "last": str(self.last),
            "after": self.after and str(self.after),
            "found": asdict(self.found),
            "replay": self.replay,
        }

    @classmethod
    def load(cls, data: dict[str, Any]) -> Order:
        return cls(
            past=Past.load(data["past"]),
            receiver=data["receiver"],
            last=UUID(data["last"]),
            after=UUID(data["after"]) if data["after"] else None,
            found=Replayed(**data["found"]),
            replay=data.get("replay"),
        )


def step(using: str, job: Action) -> bool:
    """Some of its events, in the transaction that is open; whether there may be more. Raises `UnknownReceiver`."""
    order = Order.load(job.chosen)
    rows = order.past.events(using).filter(pk__lte=order.last)
    if order.after is not None:
        rows = rows.filter(pk__gt=order.after)
    size = max(min(int(job.rate), BATCH), 1) if job.rate else BATCH
    events = next(batches(rows, size), [])
    before = order.found.deliveries
    act = count_some if job.what == "counted" else replay_some
    act(using, events, order.receiver, order.found)
    delivered = order.found.deliveries - before
    job.passed += len(events)
    job.count = order.found.deliveries
    if events:
        order.after = events[-1].pk
    job.chosen = order.dump()
    job.next_at = after(delivered / job.rate) if job.rate and job.what != "counted" else Now()
    return bool(events)
