"""How things stand, in figures that stay quick with millions of finished deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from events import transport
from events.conf import settings
from events.models import EventRecord, Minute, PausedReceiver, Queue, State
from events.operations.failures import FailingReceiver, by_receiver
from events.operations.minutes import Hour, last_hour
from events.operations.pausing import known_queues
from events.operations.unfinished import oldest_unfinished, queues_at_work, unfinished
from events.operations.unserved import Unserved, unserved
from events.relay.behind import oldest_due
from events.relay.metering import floor, meter_of
from events.relay.workers import Workforce

# Seconds a person waits for a broker that doesn't answer.
_PATIENCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    name: str
    paused: bool
    # Messages in the broker; None where it can't be asked.
    depth: int | None
    # Live workers' processes that serve it.
    processes: int
    waiting: int
    sent: int
    running: int
    # Since when the oldest delivery is due that no worker has taken, and for how many seconds; None where none is.
    due_since: datetime | None
    due_for: float | None

    @property
    def is_behind(self) -> bool:
        return not self.paused and self.due_for is not None and self.due_for > settings.MAX_WAIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    using: str
    emitted_last_minute: int
    emitted_last_hour: int
    # How the deliveries ended that ended in the last hour.
    last_hour: dict[str, int] = field(default_factory=dict)
    # When the oldest event with an unfinished delivery was emitted.
    oldest_undelivered: datetime | None = None
    queues: tuple[QueueFigures, ...] = ()
    failing: tuple[FailingReceiver, ...] = ()
    # Receivers that no live worker knows, though deliveries wait for them.
    unserved: tuple[Unserved, ...] = ()
    paused_receivers: tuple[str, ...] = ()
    # Receiver → why the kill switch parked it. They are among the paused ones, too.
    parked: dict[str, str] = field(default_factory=dict)
    workers: int = 0
    # Why the broker can't be asked; "" where it answers.
    broker_error: str = ""


def figures(using: str) -> Figures:
    found = last_hour(using)
    hour = found.total()
    minute, emitted = _emitted(using, found)
    workforce = Workforce.read(using)
    depths, error = broker_depths(sorted(known_queues(using)))
    return Figures(
        using=using,
        emitted_last_minute=minute,
        emitted_last_hour=emitted,
        last_hour={state: number for state, number in hour.items() if number and state != Minute.EMITTED},
        oldest_undelivered=oldest_undelivered(using),
        queues=_queues(using, workforce, depths),
        failing=tuple(by_receiver(using)),
        unserved=unserved(using, workforce),
        paused_receivers=tuple(
            PausedReceiver.objects.using(using).order_by("name").values_list("name", flat=True)
        ),
        parked=dict(
            PausedReceiver.objects.using(using).filter(probe_at__isnull=False).values_list("name", "why")
        ),
        workers=len(workforce.workers),
        broker_error=error,
    )


def _emitted(using: str, hour: Hour) -> tuple[int, int]:
    """Events of the last minute, and of the last hour: as the minutes say that a relay has counted, then one by one.

    The last minute is counted so, too: what committed late is in both, and the hour never less.
    """
    events, minute_ago = EventRecord.objects.using(using), timezone.now() - timedelta(minutes=1)
    meter = meter_of(using)
    counted_to = (meter and meter.counted_to) or hour.bars[0].minute
    live = max(hour.bars[0].minute, min(counted_to, floor(minute_ago)))
    before = sum(bar.emitted for bar in hour.bars if bar.minute < live)
    return (
        events.filter(emitted_at__gte=minute_ago).count(),
        before + events.filter(emitted_at__gte=live).count(),
    )


def oldest_undelivered(using: str, queues: Sequence[str] | None = None) -> datetime | None:
    """`queues`: those of unfinished deliveries, where they are known already."""
    first = oldest_unfinished(using, queues_at_work(using) if queues is None else queues)
    # Not a minute ago: what the fast path just published is not examined yet, though it may be done.
    before = timezone.now() - timedelta(minutes=1)
    unexamined = EventRecord.objects.using(using).filter(next_at__lt=before)
    # What is due for the longest: the index knows no other age of them.
    other = unexamined.order_by("next_at").values_list("emitted_at", flat=True).first()
    return min((at for at in (first, other) if at is not None), default=None)


def broker_depths(queues: list[str]) -> tuple[dict[str, int], str]:
    """Messages in each queue; and why the broker couldn't be asked, else ""."""
    depths: dict[str, int] = {}
    try:
        for name in queues:
            depths[name] = transport.depth(name, _PATIENCE)
    except Exception as error:  # noqa: BLE001 - each broker's client has errors of its own
        transport.reset()
        return {}, f"{type(error).__name__}: {error}"
    return depths, ""


def _queues(using: str, workforce: Workforce, depths: dict[str, int]) -> tuple[QueueFigures, ...]:
    counts = unfinished(using, most=None).numbers
    paused = set(Queue.objects.using(using).filter(paused=True).values_list("name", flat=True))
    names = known_queues(using) | {queue for queue, _ in counts}
    ordered = sorted(names, key=lambda name: (name not in settings.QUEUES, name))
    due = {name: oldest_due(using, name) for name in ordered}
    return tuple(
        QueueFigures(
            name=name,
            paused=name in paused,
            depth=depths.get(name),
            processes=sum(worker.processes for worker in workforce.workers if name in worker.queues),
            waiting=counts[name, State.WAITING],
            sent=counts[name, State.SENT],
            running=counts[name, State.RUNNING],
            due_since=each and each.since,
            due_for=each and each.waited.total_seconds(),
        )
        for name, each in due.items()
    )
