"""Past events again, chosen by type, time and receiver; to a receiver that is new since then, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.dateparse import parse_datetime

from events.capture import dump_sender
from events.envelope import decode, is_forgotten
from events.ids import first_of
from events.models import FINISHED, Delivery, EventRecord, State
from events.registry import Receiver, registry
from events.signal_names import signal_name

# An id has the emitter's clock in it, `emitted_at` the database's, at the end of what may have been a long transaction.
_APART = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Which events: those of these types (empty: all) that were emitted from `since` until before `until`."""

    types: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    def events(self, using: str) -> QuerySet[EventRecord]:
        rows = EventRecord.objects.using(using)
        if self.types:
            rows = rows.filter(type__in=self.types)
        # By their ids too, which they are read in the order of: else all that is older would be passed each time.
        if self.since is not None:
            rows = rows.filter(emitted_at__gte=self.since, pk__gte=first_of(self.since, -_APART))
        if self.until is not None:
            rows = rows.filter(emitted_at__lt=self.until, pk__lt=first_of(self.until, _APART))
        return rows

    def dump(self) -> dict[str, Any]:
        return {
            "types": list(self.types),
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }

    @classmethod
    def load(cls, data: dict[str, Any]) -> Past:
        since, until = (parse_datetime(data[name]) if data[name] else None for name in ("since", "until"))
        return cls(types=tuple(data["types"]), since=since, until=until)

    def named(self, receiver: str | None) -> str:
        """In words, for the record of an action."""
        words = [", ".join(self.types) or "all types"]
        words += [f"since {self.since:%Y-%m-%d %H:%M:%S}"] if self.since else []
        words += [f"until {self.until:%Y-%m-%d %H:%M:%S}"] if self.until else []
        return " ".join([*words, f"to {receiver or 'all they went to'}"])


@dataclass(slots=True, kw_only=True)
class Replayed:
    """The totals so far, for both a dry run and a real one."""

    events: int = 0
    # Receiver → deliveries that run again, and that are made for events it has never had.
    again: dict[str, int] = field(default_factory=dict)
    new: dict[str, int] = field(default_factory=dict)
    # Deliveries left alone: not finished yet, so they will run anyway.
    unfinished: int = 0
    # Events left alone: their data was blanked.
    forgotten: int = 0

    @property
    def deliveries(self) -> int:
        return sum(self.again.values()) + sum(self.new.values())


def replay_some(using: str, events: Sequence[EventRecord], receiver: str | None, total: Replayed) -> None:
    """Let these be delivered again: to all they went to, or to one receiver; added to `total`.

    In the transaction that is open. To a receiver named here, events go that it has never had, if it listens to their
    signal and sender; its `when` is not asked. Every delivery keeps its idempotency key. Raises `UnknownReceiver`.
    """
    live = _live(events, total)
    _Batch(using, _locked(using, live), _receiver(receiver), total).count_and_write()


def count_some(using: str, events: Sequence[EventRecord], receiver: str | None, total: Replayed) -> None:
    """The same, without doing it."""
    _Batch(using, _live(events, total), _receiver(receiver), total).count()


def _receiver(name: str | None) -> Receiver | None:
    return registry.get(name) if name is not None else None


def _live(events: Sequence[EventRecord], total: Replayed) -> list[EventRecord]:
    live = [event for event in events if not is_forgotten(event.envelope)]
    total.forgotten += len(events) - len(live)
    return live


def _locked(using: str, events: Sequence[EventRecord]) -> list[EventRecord]:
    """A relay, or another replay, may be at work on their lists of receivers."""
    rows = EventRecord.objects.using(using).filter(pk__in=[event.pk for event in events]).order_by("pk")
    return list(rows.select_for_update() if connections[using].features.has_select_for_update else rows)


class _Batch:
    def __init__(
        self, using: str, events: Sequence[EventRecord], receiver: Receiver | None, total: Replayed
    ) -> None:
        self.using = using
        self.receiver = receiver
        self.total = total
        ours = {receiver.name, *receiver.aliases} if receiver else None
        self.known = [event for event in events if ours is None or ours & event.receivers.keys()]
        self.strange = [event for event in events if ours is not None and not ours & event.receivers.keys()]
        rows = Delivery.objects.using(using).filter(event_id__in=[event.pk for event in self.known])
        self.rows = rows if ours is None else rows.filter(receiver__in=ours)

    def count(self) -> None:
        finished = 0
        for name, state in self.rows.values_list("receiver", "state"):
            if state in FINISHED:
                self.total.again[name] = self.total.again.get(name, 0) + 1
                finished += 1
            else:
                self.total.unfinished += 1
        self.strange = [event for event in self.strange if self.receiver and listens(self.receiver, event)]
        if self.receiver and self.strange:
            self.total.new[self.receiver.name] = self.total.new.get(self.receiver.name, 0) + len(self.strange)
        self.total.events += len(self.known) + len(self.strange)

    def count_and_write(self) -> None:
        self.count()
        self._again()
        if self.receiver and self.strange:
            self._anew(self.receiver)

    def _again(self) -> None:
        # The relay sends it with the next attempt's number, and no message of before fits it any more.
        self.rows.filter(state__in=FINISHED).update(
            state=State.WAITING,
            tries=0,
            next_at=Now(),
            asked_at=Now(),
            suspect_at=None,
            finished_at=None,
            reason="",
            error="",
            failures=None,
        )

    def _anew(self, receiver: Receiver) -> None:
        queue = receiver.route()
        for event in self.strange:
            # A worker refuses what the event's own list doesn't name.
            event.receivers[receiver.name] = queue
        EventRecord.objects.using(self.using).bulk_update(self.strange, ["receivers"])
        rows = [
            Delivery(
                event_id=event.pk,
                receiver=receiver.name,
                queue=queue,
                state=State.WAITING,
                next_at=Now(),
                asked_at=Now(),
            )
            for event in self.strange
        ]
        Delivery.objects.using(self.using).bulk_create(rows)


def listens(receiver: Receiver, event: EventRecord) -> bool:
    """Whether the receiver would have had it, had it been there; but for its `when`."""
    data: dict[str, Any] = decode(event.envelope).data
    bindings = [b for b in registry.bindings() if b.receiver.name == receiver.name]
    return any(
        signal_name(b.signal) == data["signal"]
        and (b.sender is None or dump_sender(b.sender) == data["sender"])
        for b in bindings
    )
