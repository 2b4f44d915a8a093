"""How it is: everything a person on call asks first, from a few rows, however many deliveries there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from events import clock
from events.conf import settings
from events.fast_path import fast_path
from events.models import UNFINISHED, Meter, PausedReceiver, Queue, State
from events.operations.failures import by_receiver
from events.operations.figures import oldest_undelivered
from events.operations.minutes import Bar, Hour, Sum, last_hour
from events.operations.reaching import Reach, broker, database
from events.operations.unfinished import MANY, Unfinished, unfinished
from events.registry import registry
from events.relay.lease import LEASE
from events.relay.metering import LEASE as METER_LEASE
from events.relay.metering import meter_of
from events.relay.workers import Workforce

# Seconds without a sign of a relay after which there is none: its lease has run out.
_SILENT = 2.0 * LEASE


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueHealth:
    name: str
    paused: bool
    # Messages in the broker; None where it can't be asked.
    depth: int | None
    # Live workers that serve it, and their processes.
    workers: int
    processes: int
    waiting: int
    sent: int
    running: int
    # Whether there are more of one of these three than were counted.
    more: bool
    per_minute: float
    # Seconds in which all that is counted as unfinished will have ended at the pace of the last minutes; None where
    # none did.
    clear_in: float | None
    # p50, p95, p99 of the last hour, in milliseconds.
    wait: tuple[float | None, ...]
    run: tuple[float | None, ...]
    by_minute: tuple[int, ...]

    @property
    def unfinished(self) -> int:
        return self.waiting + self.sent + self.running


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverHealth:
    name: str
    queue: str
    paused: bool
    per_minute: float
    # In the last hour.
    ended: int
    # Failed tries among all tries of what ended in the last hour or is to be tried again; None where there was none.
    failure_share: float | None
    slowest_ms: int
    # Now: failed at least once and to be tried again; dead letters.
    retrying: int
    dead: int
    run: tuple[float | None, ...]

    @property
    def is_idle(self) -> bool:
        """Nothing of it ended in the last hour, and nothing is wrong with it."""
        return not (self.ended or self.retrying or self.dead or self.paused)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayHealth:
    # When one last gave a sign of life, how many seconds ago, and who; None for never.
    beat_at: datetime | None
    silent_for: float | None
    owner: str
    # When one last began to read the meter.
    read_at: datetime | None

    @property
    def is_alive(self) -> bool:
        return self.silent_for is not None and self.silent_for < _SILENT


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerHealth:
    """Of this process: each web process has one of its own."""

    is_closed: bool
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    using: str
    at: datetime
    oldest_undelivered: datetime | None
    last_minute: Bar
    last_hour: dict[str, int]
    bars: tuple[Bar, ...]
    retrying: int
    # Whether there are more of those, of whichever receiver, than were counted.
    more_retrying: bool
    dead: int
    workers: int
    queues: tuple[QueueHealth, ...]
    receivers: tuple[ReceiverHealth, ...]
    relay: RelayHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The whole installation: what it talks to, and the health of each outbox that answers."""

    broker: Reach
    databases: dict[str, Reach]
    breaker: BreakerHealth
    outboxes: tuple[Health, ...]


def overview(aliases: Iterable[str], most: int | None = MANY) -> Overview:
    """`most` of what is unfinished in each queue are counted; None: all.

    Raises database errors of an alias that answered a moment ago.
    """
    reached = {using: database(using) for using in aliases}
    names = tuple(sorted({*settings.QUEUES, *(receiver.route() for receiver in registry)}))
    reach, depths = broker(names)
    answering = [using for using, each in reached.items() if each.ok]
    meters = {using: meter_of(using) for using in answering}
    return Overview(
        broker=_earliest(reach, meters.values()),
        databases=reached,
        breaker=BreakerHealth(is_closed=fast_path.breaker.is_closed(), since=fast_path.breaker.since),
        outboxes=tuple(_health(using, meters[using], names, depths, most) for using in answering),
    )


def relay_health(using: str) -> RelayHealth:
    return _relay(using, Queue.objects.using(using).all(), meter_of(using))


def _earliest(reach: Reach, meters: Iterable[Meter | None]) -> Reach:
    """The relays may have known for longer than this process."""
    times = [meter.broker_since for meter in meters if meter and meter.broker_ok is reach.ok]
    since = min((at for at in (*times, reach.since) if at is not None), default=reach.since)
    return Reach(ok=reach.ok, since=since, error=reach.error)


def _health(
    using: str, meter: Meter | None, names: tuple[str, ...], depths: dict[str, int], most: int | None
) -> Health:
    hour = last_hour(using)
    now = unfinished(using, most)
    dead = {each.receiver: each.dead for each in by_receiver(using)}
    workforce = Workforce.read(using)
    rows = {row.name: row for row in Queue.objects.using(using).order_by("name")}
    paused = frozenset(PausedReceiver.objects.using(using).values_list("name", flat=True))
    queues = {*names, *rows, *hour.queues, *now.queues}
    return Health(
        using=using,
        at=timezone.now(),
        oldest_undelivered=oldest_undelivered(using, now.queues),
        last_minute=hour.last(),
        last_hour=dict(hour.total()),
        bars=tuple(hour.bars),
        retrying=now.retrying.total,
        more_retrying=now.retrying.more,
        dead=sum(dead.values()),
        workers=len(workforce.workers),
        queues=tuple(_queues(queues, rows, hour, now, workforce, depths)),
        receivers=tuple(_receivers(hour, now, dead, paused)),
        relay=_relay(using, rows.values(), meter),
    )


def _queues(
    names: Iterable[str],
    rows: dict[str, Queue],
    hour: Hour,
    now: Unfinished,
    workforce: Workforce,
    depths: dict[str, int],
) -> Iterable[QueueHealth]:
    for name in sorted(names, key=lambda name: (name not in settings.QUEUES, name)):
        found = hour.queues.get(name) or Sum()
        serving = [worker for worker in workforce.workers if name in worker.queues]
        left = now.of_queue(name, *UNFINISHED)
        yield QueueHealth(
            name=name,
            paused=name in rows and rows[name].paused,
            depth=depths.get(name),
            workers=len(serving),
            processes=sum(worker.processes for worker in serving),
            waiting=now.of_queue(name, State.WAITING),
            sent=now.of_queue(name, State.SENT),
            running=now.of_queue(name, State.RUNNING),
            more=name in now.more,
            per_minute=found.per_minute(),
            clear_in=_seconds(left, found.per_minute()),
            wait=found.waits(),
            run=found.runs(),
            by_minute=tuple(found.by_minute),
        )


def _seconds(left: int, per_minute: float) -> float | None:
    if not left:
        return 0.0
    return left / per_minute * 60 if per_minute else None


def _receivers(
    hour: Hour, now: Unfinished, dead: dict[str, int], paused: frozenset[str]
) -> Iterable[ReceiverHealth]:
    queues = now.retrying.queues | {receiver.name: receiver.route() for receiver in registry}
    for name in sorted({*queues, *hour.receivers, *dead}, key=lambda name: _trouble(name, dead, now)):
        found = hour.receivers.get(name) or Sum()
        yield ReceiverHealth(
            name=name,
            queue=queues.get(name, ""),
            paused=name in paused,
            per_minute=found.per_minute(),
            ended=found.ended,
            failure_share=found.failure_share(now.retrying.failed_tries[name]),
            slowest_ms=found.slowest_ms,
            retrying=now.retrying.numbers[name],
            dead=dead.get(name, 0),
            run=found.runs(),
        )


def _trouble(name: str, dead: dict[str, int], now: Unfinished) -> tuple[Any, ...]:
    """The worst first."""
    return -dead.get(name, 0), -now.retrying.numbers[name], name


class _Sign(NamedTuple):
    at: datetime
    owner: str


def _relay(using: str, rows: Iterable[Queue], meter: Meter | None) -> RelayHealth:
    """By the last sign of any. The meter's alone are left where no queue has anything unfinished, or all are paused."""
    last = max([*_fed(rows), *_read(meter)], default=None)
    return RelayHealth(
        beat_at=last and last.at,
        silent_for=last and (clock.now(using) - last.at).total_seconds(),
        owner=last.owner if last else "",
        read_at=meter.read_at if meter else None,
    )


def _fed(rows: Iterable[Queue]) -> Iterator[_Sign]:
    """Each round takes the leases of the queues with something unfinished, or finds that they last a while yet."""
    for row in rows:
        if row.lease_until is not None:
            yield _Sign(row.lease_until - timedelta(seconds=LEASE), row.lease_owner)


def _read(meter: Meter | None) -> Iterator[_Sign]:
    """It is read every few seconds. A reading that has much to catch up on renews its lease with each minute."""
    if meter is None:
        return
    yield _Sign(meter.read_at, meter.lease_owner)
    if meter.lease_until is not None:
        yield _Sign(meter.lease_until - timedelta(seconds=METER_LEASE), meter.lease_owner)
