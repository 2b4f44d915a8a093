"""Past events again, chosen by type, time and receiver; to a receiver that is new since then, too."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connections, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from events.capture import dump_sender
from events.deeds import Deed
from events.envelope import decode
from events.models import FINISHED, Delivery, EventRecord, State
from events.operations.forgetting import is_forgotten
from events.operations.slices import batches
from events.registry import Receiver, registry
from events.signal_names import signal_name

logger = logging.getLogger("events")


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
        if self.since is not None:
            rows = rows.filter(emitted_at__gte=self.since)
        if self.until is not None:
            rows = rows.filter(emitted_at__lt=self.until)
        return rows

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


def replay(
    using: str, past: Past, *, receiver: str | None, by: str, why: str = "", dry_run: bool = False
) -> Iterator[Replayed]:
    """Let past events be delivered again: to all they went to, or to one receiver; yields the totals so far.

    To a receiver named here, events go that it has never had, if it listens to their signal and sender;
    its `when` is not asked. Every delivery keeps its idempotency key. Raises `UnknownReceiver`.
    """
    found = registry.get(receiver) if receiver is not None else None
    total = Replayed()
    deed = Deed(using=using, by=by, what="replayed", target=past.named(receiver), why=why)
    for events in batches(past.events(using)):
        live = [event for event in events if not is_forgotten(event.envelope)]
        total.forgotten += len(events) - len(live)
        if dry_run:
            _Batch(using, live, found, total).count()
        else:
            before = total.deliveries
            with transaction.atomic(using=using):
                _Batch(using, _locked(using, live), found, total).count_and_write()
                deed.add(total.deliveries - before)
        yield total
    if not dry_run:
        logger.info(
            "events.replayed by=%r past=%r receiver=%s deliveries=%d", by, past, receiver, total.deliveries
        )


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
                event_id=event.pk, receiver=receiver.name, queue=queue, state=State.WAITING, next_at=Now()
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
